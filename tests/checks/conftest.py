"""One laptop cloud for all tests of the checks, with the real service in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from activities.aws import AwsClients
from activities.inputs import ChecksInput
from cli import laptop as laptop_commands
from cli.commits import Commits
from infra.local import laptop as laptop_cloud
from infra.local.settings import LaptopSettings, Ports
from release.policy import alarm_period_seconds
from tests.checks.staging_parts import Cloud, limits

ROOT = Path(__file__).parents[2]
CLOCK_FACTOR = 12  # logs and metrics are there after a second instead of five
WORKER = "print('worker ready', flush=True); import signal; signal.pause()"


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Staging and production serve the same commit."""
    folder = tmp_path_factory.mktemp("checks")
    repository = folder / "repository"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    for command in (
        ["checkout", "--quiet", "-B", "main"],
        ["config", "user.name", "test"],
        ["config", "user.email", "test@localhost"],
    ):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    wanted = LaptopSettings(
        state_dir=folder / "state",
        repository=repository,
        clock_factor=CLOCK_FACTOR,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
        worker_command=[sys.executable, "-c", WORKER],
    )
    try:
        with mock.patch.dict(os.environ):  # what `up` leaves in it concerns no other test
            state = laptop_commands.up(wanted, attached=True, first="main")
            clients = AwsClients.from_environment()
        commits = Commits(repository, "main")
        sha = commits.resolve("main")
        order = ChecksInput(
            service="crypto-watch",
            environment="staging",
            sha=sha,
            version=commits.version(sha),
            checks=(),
            functions={
                "api": "crypto-watch-api-staging",
                "fetcher": "crypto-watch-fetcher-staging",
            },
            api="api",
            alias="live",
            table="crypto-watch-staging",
            limits=limits(),
            alarm_period_seconds=alarm_period_seconds(CLOCK_FACTOR),
        )
        yield Cloud(state.addresses.staging, repository, clients, order)
    finally:
        laptop_cloud.stop(wanted.state_dir, progress=print)

"""A lane: one laptop cloud whose worker stands behind proxies, and can be killed and replaced."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cli import laptop as laptop_commands
from cli.errors import Refused
from cli.production import live
from infra.local import laptop as laptop_cloud
from infra.local.child_environment import without_cloud_settings
from infra.local.settings import LaptopSettings, LaptopState, Ports
from release.policy import Policy, parse_policy
from tests.faults.aws_calls import Call
from tests.faults.aws_proxy import AwsProxy, Rules
from tests.faults.listener import Listener
from tests.faults.temporal_proxy import TemporalProxy
from tests.faults.workers import ROOT, Nursery

HERE = Path(__file__).parent
CLOCK_FACTOR = 60  # the policy's minutes pass in seconds
STAND_IN = "print('worker ready', flush=True); import signal; signal.pause()"
SHORT_HISTORY = "# Changelog\n\n## Unreleased\n\n### Added\n- The first thing.\n"


class Lane:
    """Everything that one test at a time needs; the next one finds it whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.calls: list[Call] = []
        self.rules = Rules()
        self.loop = asyncio.new_event_loop()
        self.extra: dict[str, str] = {}
        self._number = 0

    def up(self) -> None:
        """The laptop cloud serves a first release, and a worker waits for work."""
        self._clone()
        wanted = LaptopSettings(
            state_dir=self.folder / "state",
            repository=self.repository,
            clock_factor=CLOCK_FACTOR,
            ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
            worker_command=[sys.executable, "-c", STAND_IN],
        )
        self.state = _up(wanted)
        self.policy: Policy = parse_policy((self.repository / "release.toml").read_text())
        self.base = self.git("rev-parse", "HEAD")
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        addresses = self.state.addresses
        self.proxies = {
            service: AwsProxy(service, url, self.calls, lambda: self.rules)
            for service, url in (
                ("aws", addresses.aws),
                ("lambda", addresses.lambda_),
                ("cloudwatch", addresses.cloudwatch),
            )
        }
        self.temporal = TemporalProxy(addresses.temporal)
        for proxy in (*self.proxies.values(), self.temporal):
            self.call(proxy.start())
        self.listener = Listener()
        boto3.client("secretsmanager").create_secret(
            Name="crypto-watch/team-url", SecretString=self.listener.url
        )
        (self.folder / "worker.log").touch()
        self.nursery = Nursery(self.folder / "worker.log")
        self.start_worker()
        self.until(lambda: "worker ready" in self.nursery.log.read_text(), 30)

    def down(self) -> None:
        """Nothing of the lane runs."""
        if hasattr(self, "nursery"):
            self.nursery.close()
        laptop_cloud.stop(self.folder / "state", progress=lambda line: None)
        if hasattr(self, "listener"):
            self.listener.close()
        self.loop.call_soon_threadsafe(self.loop.stop)

    def call(self, work: Any) -> Any:
        """The result of a coroutine that runs where the proxies run."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def connect(self) -> Client:
        """A client past all faults: what people and the harness use."""
        return await Client.connect(
            self.state.addresses.temporal,
            data_converter=pydantic_data_converter,
            identity="harness",
        )

    def environment(self) -> dict[str, str]:
        """The worker's environment: everything that it speaks to is behind a proxy."""
        return (
            without_cloud_settings()
            | self.state.environment()
            | {
                "RELEASE_PROFILE": "laptop",
                "PYTHONUNBUFFERED": "1",
                "AWS_ENDPOINT_URL": self.proxies["aws"].url,
                "AWS_ENDPOINT_URL_LAMBDA": self.proxies["lambda"].url,
                "AWS_ENDPOINT_URL_CLOUDWATCH": self.proxies["cloudwatch"].url,
                "TEMPORAL_ADDRESS": self.temporal.address,
            }
            | self.extra
        )

    def start_worker(self) -> None:
        """A worker runs, or is about to."""
        self.nursery.start(self.environment())

    def replace_worker(self) -> None:
        """The worker is dead, and its successor is on its way: nobody lifts a finger."""
        self.nursery.kill()
        self.start_worker()

    def work_with(self, tree: Path) -> None:
        """From now on the worker is of this tree's code, until another one is said."""
        self.nursery.kill()
        self.nursery.tree = tree
        self.start_worker()

    def skew_clock(self, seconds: int) -> None:
        """From now on the worker's machine has a clock that is so much ahead."""
        library = self.folder / "skew.so"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(library), str(HERE / "skew.c"), "-ldl"], check=True
        )
        self.extra = {"LD_PRELOAD": str(library), "CLOCK_SKEW_SECONDS": str(seconds)}
        self.replace_worker()

    def cut_temporal(self, *, down: bool) -> None:
        """The worker's connections to Temporal are gone; while down it gets no new ones."""
        self.loop.call_soon_threadsafe(lambda: self.temporal.cut(down=down))

    def kill_temporal(self) -> None:
        """SIGKILL for the server; the laptop's supervisor brings it back."""
        children = Path(f"/proc/{self.state.pid}/task/{self.state.pid}/children").read_text()
        for pid in children.split():
            if b"start-dev" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)

    def reset(self) -> None:
        """No fault is at work any more."""
        self.rules = Rules()
        self.listener.is_down = False
        self.temporal.is_down = False
        if self.extra:
            self.extra = {}
            self.nursery.kill()
        if not self.nursery.is_up():
            self.nursery.kill()
            self.start_worker()

    def commit(self) -> str:
        """A commit that may be promoted: built on what production runs, or on the first release."""
        now = live(self.policy, "prod", boto3.client("lambda"))
        known = now is not None and now.sha and self._is_fit(now.sha)
        self.git("checkout", "--quiet", "-B", "main", now.sha if known and now else self.base)
        self._number += 1
        text = (self.repository / "CHANGELOG.md").read_text()
        line = f"- Change {self._number}.\n"
        (self.repository / "CHANGELOG.md").write_text(
            text.replace("### Added\n", f"### Added\n{line}")
        )
        self.git("commit", "--quiet", "--all", "--message", f"feat: change {self._number}")
        return self.git("rev-parse", "HEAD")

    def _is_fit(self, sha: str) -> bool:
        return self._git("cat-file", "-e", f"{sha}^{{commit}}").returncode == 0

    def git(self, *arguments: str) -> str:
        """git's answer."""
        done = self._git(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _git(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    def until(self, condition: Any, seconds: float) -> None:
        """The condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.05)

    def _clone(self) -> None:
        """A lean policy, and functions that need no package registry to be built."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.repository)], check=True)
        self.git("checkout", "--quiet", "-B", "main")
        for name, value in (("name", "test"), ("email", "test@localhost")):
            self.git("config", f"user.{name}", value)
        for tag in self.git("tag").split():
            self.git("tag", "--delete", tag)
        (self.repository / "release.toml").write_text((HERE / "lean.toml").read_text())
        (self.repository / "CHANGELOG.md").write_text(SHORT_HISTORY)
        vendor(self.repository / "api_lambda" / "fetcher")
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "ci: lean")


def _up(wanted: LaptopSettings) -> LaptopState:
    """Lanes that start at one moment may choose the same free port: another choice is tried."""
    for _ in range(2):
        with suppress(Refused):
            return laptop_commands.up(wanted, attached=True, first="main")
    return laptop_commands.up(wanted, attached=True, first="main")


def vendor(folder: Path) -> None:
    """The function's packages lie beside it, from this environment instead of a registry."""
    import importlib.metadata

    for line in (folder / "requirements.txt").read_text().splitlines():
        if "==" not in line:
            continue
        distribution = importlib.metadata.distribution(line.partition("==")[0].strip())
        for file in distribution.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(distribution.locate_file(file)), target)
    (folder / "requirements.txt").unlink()

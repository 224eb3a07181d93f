"""The whole system for real: laptop cloud, worker process, commits of a clone, real requests."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from cli import laptop as laptop_commands
from cli import promotions
from cli.consumers import Consumers
from cli.demo import quicken
from cli.temporal import temporal
from infra.local import laptop as laptop_cloud
from infra.local.environment import create_api_keys
from infra.local.settings import LaptopSettings, LaptopState, Ports
from release.decisions import Abort, Decision, SignOff
from release.policy import Policy
from release.promotion import PromotionStatus, Stage

ROOT = Path(__file__).parents[2]
CLOCK_FACTOR = 12


class Laptop:
    """A laptop cloud that releases from a scratch clone."""

    def __init__(self, state: LaptopState, repository: Path) -> None:
        self.state = state
        self.repository = repository

    def commit(self, subject: str) -> str:
        """A new commit on the clone's main; its sha."""
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def process(self, mark: str) -> int:
        """The pid of the supervisor's child whose command line holds `mark`."""
        children = Path(f"/proc/{self.state.pid}/task/{self.state.pid}/children").read_text()
        for pid in children.split():
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if mark in line:
                return int(pid)
        raise AssertionError(f"the supervisor has no child {mark!r}")

    def kill(self, mark: str) -> None:
        """SIGKILL for one part; the supervisor starts it anew."""
        pid = self.process(mark)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if self.process(mark) != pid:
                    return
            except (AssertionError, FileNotFoundError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"{mark!r} did not come back")


class Promotion:
    """One promotion as its test sees it."""

    def __init__(self, client: Client, identity: str, policy: Policy) -> None:
        self.client = client
        self.identity = identity
        self.policy = policy
        self.handle: Any = client.get_workflow_handle(identity)

    async def until(
        self, condition: Callable[[PromotionStatus], bool], seconds: float = 240
    ) -> PromotionStatus:
        """The first status for which the condition holds; outages on the way are ridden out."""
        status: PromotionStatus | None = None
        async with asyncio.timeout(seconds):
            while True:
                try:
                    status = await promotions.status(self.client, self.identity)
                except Exception as outage:
                    print("no answer yet:", outage)
                else:
                    if condition(status):
                        return status
                    assert status.outcome is None, f"ended early: {status.reason}"
                await asyncio.sleep(0.1)

    async def sign_off(self) -> None:
        await self.until(lambda status: status.stage is Stage.CHECKLIST)
        for item, name in promotions.signers(self.policy).items():
            await self.handle.execute_update("sign_off", SignOff(item=item, by=name, note="fine"))

    async def approve(self) -> None:
        for name in ("alice", "bob"):
            await self.handle.execute_update("approve", Decision(approver=name, comment="go"))

    async def abort(self) -> None:
        await self.handle.execute_update("abort", Abort(by="bob", reason="the test is over"))
        await self.until(lambda status: status.outcome is not None)


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    folder = tmp_path_factory.mktemp("whole")
    repository = folder / "repository"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    clone = Laptop.__new__(Laptop)
    clone.repository = repository
    clone.git("checkout", "--quiet", "-B", "main")
    clone.git("config", "user.name", "test")
    clone.git("config", "user.email", "test@localhost")
    quicken(repository)
    before = dict(os.environ)
    wanted = LaptopSettings(
        state_dir=folder / "state",
        repository=repository,
        clock_factor=CLOCK_FACTOR,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
    )
    try:
        clone.state = laptop_commands.up(wanted, attached=True, first="main")
        yield clone
    finally:
        laptop_cloud.stop(wanted.state_dir, progress=print)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def consumers(laptop: Laptop) -> Iterator[Consumers]:
    """40 requests a second to production."""
    names = [f"test-consumer-{number}" for number in range(60)]
    keys = create_api_keys("crypto-watch", "prod", names, laptop.state.environment())
    traffic = Consumers(laptop.state.addresses.prod, keys, 40)
    traffic.start()
    yield traffic
    traffic.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def promotion(laptop: Laptop, request: pytest.FixtureRequest) -> AsyncIterator[Promotion]:
    """A started promotion of a fresh commit."""
    sha = laptop.commit(f"test: {request.node.name}")
    order = promotions.prepare(sha, "dora", CLOCK_FACTOR)
    async with temporal("test") as client:
        handle, _ = await promotions.start(client, order)
        yield Promotion(client, handle.id, order.policy)

"""`starter.py lane` as a person meets it, on a real Temporal server."""

import asyncio
import json
import sysconfig
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.inputs import ClaimsInput
from release.lane import Claim, Lane, Priority, Says, lane_id
from release.windows import Windows
from workflows.production_lane import ProductionLaneWorkflow

TASK_QUEUE = "releases"  # what the commands use, if nothing else is set
SERVER = str(Path(sysconfig.get_path("scripts")) / "temporal")


@activity.defn
async def find_moving(order: ClaimsInput) -> tuple[Claim, ...]:
    return ()


@workflow.defn(sandboxed=False)
class Waits:
    """Stands in a lane as a promotion does, and is told its place."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def lane_says(self, word: Says) -> None:
        pass


class Serving:
    """A Temporal server with a worker for lanes, beside the test's own thread."""

    def __init__(self) -> None:
        self.address = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "Serving":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=SERVER,
            dev_server_log_level="error",
            data_converter=pydantic_data_converter,
        ) as environment:
            self.client = environment.client
            self.address = environment.client.service_client.config.target_host
            async with Worker(
                self.client,
                task_queue=TASK_QUEUE,
                workflows=[ProductionLaneWorkflow, Waits],
                activities=[find_moving],
            ):
                self._ready.set()
                await self._stop.wait()

    def join(self, claim: Claim) -> None:
        """The claim stands in the lane, which there is already."""

        async def send() -> None:
            await self.client.start_workflow(Waits.run, id=claim.workflow, task_queue=TASK_QUEUE)
            lane = self.client.get_workflow_handle(lane_id("crypto-watch"))
            await lane.execute_update("join", claim)

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(20)

    def begin(self) -> None:
        """A new lane, free."""

        async def start() -> None:
            await self.client.start_workflow(
                ProductionLaneWorkflow.run,
                Lane(service="crypto-watch", begun=True),
                id=lane_id("crypto-watch"),
                task_queue=TASK_QUEUE,
            )

        asyncio.run_coroutine_threadsafe(start(), self._loop).result(20)

    def end(self) -> None:
        """No lane any more."""
        handle = self.client.get_workflow_handle(lane_id("crypto-watch"))
        asyncio.run_coroutine_threadsafe(handle.terminate(), self._loop).result(20)


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving() as serving:
        yield serving


@pytest.fixture
def run(starter: Callable, server: Serving, repository) -> Callable:
    """Runs `starter.py lane …` for a repository with one commit."""
    repository.commit()
    return lambda *arguments: starter("lane", *arguments, TEMPORAL_ADDRESS=server.address)


def claim(number: int, **more) -> Claim:
    """A promotion's wish."""
    return Claim(
        **{
            "workflow": f"promotion/crypto-watch/{number:012}",
            "run": "r",
            "ticket": 1,
            "what": f"1.2.{number}",
            "since": datetime(2026, 1, 1, tzinfo=UTC),
        }
        | more
    )


def test_lane_that_nobody_wanted_yet_is_free(run):
    """There is none before the first promotion, which is no error."""
    done = run()

    assert (done.returncode, done.stderr) == (0, "")
    assert "moves production  nobody" in done.stdout
    assert "none: traffic may begin to move at any time" in done.stdout


def test_freeze_shows_who_goes_on_and_who_waits_and_is_lifted(run, server):
    """Everything that one needs to know stands on one screen; for programs as JSON."""
    server.begin()
    server.join(claim(1))
    server.join(claim(2))
    opens = datetime.now(UTC) + timedelta(hours=2)
    late = Windows(allow=(f"daily {opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}",))
    server.join(claim(3, windows=late))
    server.join(claim(4, priority=Priority.HOTFIX, windows=late))

    frozen = run("freeze", "--as", "bob", "--reason", "the sale", "--until", "3d")
    shorter = run("freeze", "--as", "eve", "--reason", "lunch", "--until", "1h")
    shown = json.loads(run("--json").stdout)
    lifted = run("unfreeze", "--as", "bob", "--reason", "the sale is over")
    twice = run("unfreeze", "--as", "bob", "--reason", "again")
    server.end()

    assert frozen.returncode == 0
    assert "moves production  1.2.1 (promotion/crypto-watch/000000000001)" in frozen.stdout
    assert "by bob: the sale" in frozen.stdout
    lines = " ".join(frozen.stdout.split())
    assert "1.2.4 (hotfix): 1st in line: behind 1.2.1; frozen until" in lines
    assert "its window opens at" in lines
    assert shorter.returncode == 1
    assert "by bob: the sale; that is longer: unfreeze first" in shorter.stderr
    assert [one["claim"]["what"] for one in shown["waiting"]] == ["1.2.4", "1.2.2", "1.2.3"]
    assert lifted.returncode == 0
    assert "the sale is over" in lifted.stdout
    assert (twice.returncode, twice.stderr) == (1, "error: refused: it is not frozen\n")


def test_freeze_works_before_any_promotion_has_come(run, server):
    """Whoever freezes first makes the lane."""
    done = run("freeze", "--as", "bob", "--reason", "the sale")
    server.end()

    assert done.returncode == 0
    assert "until it is lifted by bob: the sale" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reason", "x", "--until", "tomorrow"), "'tomorrow' is no time; write 2h, 3d"),
        (("--reason", "x", "--until", "99d"), "--until: 99d is longer than 30 days"),
        (("--reason", " "), "--reason is empty"),
    ],
)
def test_slip_is_said_before_anything_is_sent(run, arguments, said):
    """Bad input: one line, and nothing was frozen."""
    done = run("freeze", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_time_that_is_over_is_refused(run, server):
    """By the lane, whose clock counts."""
    done = run("freeze", "--reason", "x", "--until", "2020-01-01 08:00")
    server.end()

    assert done.returncode == 1
    assert "2020-01-01 08:00 UTC is over already" in done.stderr


def test_hotfix_without_reason_and_reason_without_hotfix_are_refused(starter, repository):
    """Who goes before others says why."""
    repository.commit()
    without = starter("promote", "main", "--hotfix")
    alone = starter("promote", "main", "--reason", "it is nice")

    assert (without.returncode, alone.returncode) == (2, 2)
    assert "--hotfix needs --reason" in without.stderr
    assert "--reason is for --hotfix" in alone.stderr

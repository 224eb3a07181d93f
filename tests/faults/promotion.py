"""One promotion under faults: people do their part, faults happen, and all that is left is read."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.histories import read_events
from cli import promotions
from release.alarms import canary_alarm_name
from release.audit_events import Event, handed_over
from release.promotion import Outcome, PromotionRequest
from release.records import RecordResult
from tests.faults.aws_calls import Call
from tests.faults.history import Labels, follow
from tests.faults.lane import CLOCK_FACTOR, Lane
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow

FUNCTIONS = ("api", "fetcher")
_DEADLINE_SECONDS = 500.0


@dataclass
class Run:
    """A promotion from its request to its record."""

    lane: Lane
    client: Client
    request: PromotionRequest
    handle: WorkflowHandle[Any, Any]
    before: dict[str, Any]  # production's aliases
    began: float = field(default_factory=time.time)
    sent: list[tuple[str, str]] = field(default_factory=list)  # (kind, by) that Temporal took
    seen: list[str] = field(default_factory=list)  # labels, in order
    kills_before: int = 0
    killed_at: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    kept: RecordResult | None = None
    status: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def calls(self) -> list[Call]:
        """What the worker asked of AWS since the promotion began."""
        return [call for call in self.lane.calls if call.at >= self.began]

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Somebody does this, beside everything else; if it fails, the run fails."""
        self.tasks.add(asyncio.create_task(work))

    async def signal(self, name: str, by: str, **payload: Any) -> None:
        """Temporal has taken the message; the promotion answers for it in its inbox."""
        who = {"approver": by} if name in {"approve", "reject"} else {"by": by}
        await patiently(lambda: self.handle.signal(name, who | payload))
        self.sent.append((name.replace("_", "-"), by))

    async def query(self, condition: Callable[[Any], bool]) -> Any:
        """The first status for which the condition holds."""
        while True:
            status = await patiently(
                lambda: promotions.status(self.client, self.handle.id), longest=300
            )
            if condition(status) or status.outcome is not None:
                return status
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Scenario:
    """A way for a promotion to go: what people and alarms do, and how it has to end."""

    name: str
    outcome: Outcome
    begins: str = ""  # faults count from this label on: before it, it goes as any other
    asked: Callable[[Run], Coroutine[Any, Any, None]] | None = None  # instead of two yeses
    at: dict[str, Callable[[Run], Coroutine[Any, Any, None]]] = field(default_factory=dict)


async def both_agree(run: Run) -> None:
    """Both leads say yes to exactly what they were shown."""
    status = await run.query(lambda status: bool(status.digest))
    for name in ("alice", "bob"):
        await run.signal("approve", name, comment="go", digest=status.digest)


async def bob_refuses(run: Run) -> None:
    """One lead says yes, the other no."""
    status = await run.query(lambda status: bool(status.digest))
    await run.signal("approve", "alice", comment="go", digest=status.digest)
    await run.signal("reject", "bob", comment="not today")


async def carol_aborts(run: Run) -> None:
    """Somebody stops it while traffic moves."""
    await run.signal("abort", "carol", reason="customers call")


async def alarm_goes_red(run: Run) -> None:
    """The canary's alarm is red, and stays so until all traffic is back."""
    cloudwatch = boto3.client("cloudwatch")
    while not any("roll_back" in label for label in run.seen):
        await asyncio.to_thread(
            cloudwatch.set_alarm_state,
            AlarmName=canary_alarm_name("crypto-watch", "prod"),
            StateValue="ALARM",
            StateReason="the harness",
        )
        await asyncio.sleep(0.1)


SUCCESS = Scenario("success", Outcome.COMPLETED)
REJECTED = Scenario("rejected", Outcome.REJECTED, begins="stage approval", asked=bob_refuses)
ABORTED = Scenario(
    "aborted",
    Outcome.ABORTED,
    begins="scheduled shift_step#1",
    at={"scheduled shift_step#2": carol_aborts},
)
ROLLED_BACK = Scenario(
    "alarm rollback",
    Outcome.ROLLED_BACK,
    begins="scheduled shift_step#1",
    at={"scheduled shift_step#1": alarm_goes_red},  # 30 %: higher up it would first compare
)
SCENARIOS = {one.name: one for one in (SUCCESS, ROLLED_BACK, REJECTED, ABORTED)}


async def promote(
    lane: Lane, scenario: Scenario, after: Callable[[Run, str], None] = lambda run, label: None
) -> Run:
    """The promotion has ended and its record is written; `after` hears of every new label."""
    lane.reset()
    client = await lane.connect()
    sha = await asyncio.to_thread(lane.commit)
    request = await asyncio.to_thread(promotions.prepare, sha, "dora", CLOCK_FACTOR)
    before = await asyncio.to_thread(aliases)
    handle, _ = await promotions.start(client, request)
    run = Run(lane, client, request, handle, before)
    run.began, run.kills_before = time.time() - 0.5, lane.nursery.kills
    run.begin(run.signal("sign_off", "alice", item="manual-verification", note="fine"))
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await _until_closed(run, scenario, after)
            await _until_kept(run)
    except BaseException as failure:
        lane.reset()
        await _end_by_force(run)
        if isinstance(failure, TimeoutError):
            raise AssertionError(f"not ended in time; last: {run.seen[-3:]}") from None
        raise
    finally:
        for task in run.tasks:
            task.cancel()
        lane.reset()
    run.events = await read_events(client, handle.id, None)
    run.status = (handed_over(run.events) or {}).get("status", {})
    run.after = await asyncio.to_thread(aliases)
    run.seconds = time.time() - run.began
    return run


async def _end_by_force(run: Run) -> None:
    """The next run finds production as this one did."""
    with suppress(Exception):
        await run.handle.terminate("a failure of the harness")
    client = boto3.client("lambda")
    for function, alias in run.before.items():
        if function.endswith("-prod"):
            client.update_alias(
                FunctionName=function,
                Name="live",
                FunctionVersion=alias["version"],
                RoutingConfig={"AdditionalVersionWeights": {}},
                Description="",
            )


async def _until_closed(run: Run, scenario: Scenario, after: Callable[[Run, str], None]) -> None:
    labels, known = Labels(), set[str]()
    async for event in follow(run.handle):
        label = labels.of(event)
        if not label or label in known:
            continue
        known.add(label)
        run.seen.append(label)
        if label == "stage approval":
            run.begin((scenario.asked or both_agree)(run))
        if label in scenario.at:
            run.begin(scenario.at[label](run))
        after(run, label)
        for task in run.tasks:
            if task.done():
                task.result()


async def _until_kept(run: Run) -> None:
    description = await patiently(run.handle.describe)
    identity = f"{run.handle.id.replace('promotion/', 'record/', 1)}/{description.run_id[-8:]}"
    record = run.client.get_workflow_handle_for(RecordWorkflow.run, identity)
    run.kept = await patiently(record.result, longest=_DEADLINE_SECONDS)


async def patiently(call: Callable[[], Any], longest: float = 120.0) -> Any:
    """The call's answer; Temporal's and the worker's absences are ridden out."""
    deadline = time.monotonic() + longest
    while True:
        try:
            return await call()
        except (WorkflowFailureError, AssertionError):
            raise
        except Exception as outage:
            if time.monotonic() > deadline:
                raise
            print("again:", type(outage).__name__, str(outage)[:80])
            await asyncio.sleep(0.2)


def aliases() -> dict[str, Any]:
    """Every alias that a promotion may move, as AWS has it."""
    client = boto3.client("lambda")
    return {
        f"crypto-watch-{name}-{environment}": _alias(client, f"crypto-watch-{name}-{environment}")
        for environment in ("staging", "prod")
        for name in FUNCTIONS
    }


def _alias(client: Any, function: str) -> dict[str, Any]:
    found = client.get_alias(FunctionName=function, Name="live")
    weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {
        "version": found["FunctionVersion"],
        "weights": weights,
        "description": found.get("Description", ""),
    }


__all__ = ["SCENARIOS", "PromotionWorkflow", "Run", "Scenario", "promote"]

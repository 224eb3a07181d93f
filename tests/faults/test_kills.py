"""The worker dies by SIGKILL, anywhere; another one finishes what it began, exactly once."""

import pytest

from tests.faults.aws_calls import Call
from tests.faults.aws_proxy import Moment
from tests.faults.killing import AfterEvents, AroundCalls
from tests.faults.promises import violations
from tests.faults.promotion import SCENARIOS, promote

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

AFTER_EVENTS = [
    (name, first, every)
    for name, every in (("success", 14), ("alarm rollback", 4), ("rejected", 3), ("aborted", 4))
    for first in range(every)
]
AROUND_CALLS = [
    (name, moment, first, every)
    for name, every in (("success", 5), ("alarm rollback", 3))
    for moment in Moment
    for first in range(every)
]


@pytest.mark.parametrize("name", SCENARIOS)
async def test_without_any_fault_every_promise_holds(lane, noted, name):
    """What is held against the runs with faults holds without: the harness sees no ghosts."""
    scenario = SCENARIOS[name]
    run = await promote(lane, scenario)

    noted(f"none: {name}", 0, await violations(run, scenario.outcome), run.seconds)


@pytest.mark.parametrize(("name", "first", "every"), AFTER_EVENTS)
async def test_killed_after_every_event(lane, noted, name, first, every):
    """The run ends as it would have, with the same effects, and nobody lifted a finger."""
    scenario = SCENARIOS[name]
    run = await promote(lane, scenario, AfterEvents(scenario, first, every))

    assert run.killed_at
    print("killed after:", *run.killed_at, sep="\n  ")
    found = await violations(run, scenario.outcome)
    noted(f"SIGKILL after events: {name}", len(run.killed_at), found, run.seconds)


@pytest.mark.parametrize(("name", "moment", "first", "every"), AROUND_CALLS)
async def test_killed_around_every_call(lane, noted, name, moment, first, every):
    """A call that was made, or half made, by a dead worker takes effect once."""
    scenario = SCENARIOS[name]
    rules: AroundCalls | None = None

    def from_the_beginning(run, label):
        nonlocal rules
        if rules is None and label.startswith(scenario.begins):
            rules = lane.rules = AroundCalls(lane, moment, first, every, _is_worth_it)

    run = await promote(lane, scenario, from_the_beginning)

    assert rules is not None
    print("killed at:", *rules.killed_at, sep="\n  ")
    found = await violations(run, scenario.outcome)
    noted(f"SIGKILL {moment}: {name}", len(rules.killed_at), found, run.seconds)


def _is_worth_it(call: Call) -> bool:
    """Every write, and every read that is the first of its kind on its target."""
    return call.writes or not call.op.startswith(("Head", "List"))

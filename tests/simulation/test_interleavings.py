"""Orders of faults, messages and metrics that nobody would think of, and P1 to P8 in each."""

import json

import pytest
from hypothesis import HealthCheck, given, settings

from tests.flow import recordings
from tests.simulation.interleaving import run
from tests.simulation.kept import FOUND, SEES
from tests.simulation.mutations import MUTATIONS
from tests.simulation.plan import AlarmRed, Cancel, Happening, Plan, Say
from tests.simulation.promises import broken
from tests.simulation.search import story
from tests.simulation.strategies import plan_strategy


@pytest.mark.timeout(1800)  # half a minute; but a busy machine is no failure
@settings(
    max_examples=400,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(plan_strategy)
def test_every_promise_is_kept_in_every_order(plan):
    """Whatever happens, whenever it happens: once, fresh, guarded, whole, approved, back, recorded,
    true and answered.
    """
    _is_kept(plan)


@pytest.mark.parametrize("plan", FOUND, ids=range(len(FOUND)))
def test_what_was_found_once_stays_mended(plan):
    """A plan that once broke a promise breaks none any more."""
    _is_kept(plan)


@pytest.mark.parametrize("name", MUTATIONS)
def test_simulation_sees_the_product_broken_on_purpose(name):
    """Its plan keeps every promise, and no longer when the product is broken in this one way."""
    _is_kept(SEES[name])
    with MUTATIONS[name]():
        found = broken(run(SEES[name]))
    assert found, f"{name}: not seen"


def test_one_seed_is_one_story():
    """A plan that is printed can be looked at again: the same story, to the last instant."""
    plan = FOUND[0]
    assert story(run(plan)) == story(run(plan))


@pytest.mark.parametrize(
    ("name", "happenings"),
    [
        ("completed", ()),
        ("rejected", (Happening("approval", 1.0, Say("reject", ({"approver": "alice"},))),)),
        ("aborted", (Happening("traffic shift", 9.0, Say("abort", ({"by": "alice"},))),)),
        ("cancelled", (Happening("traffic shift", 9.0, Cancel()),)),
        ("rolled_back", (Happening("traffic shift", 9.0, AlarmRed(60.0)),)),
    ],
)
def test_simulated_server_does_what_the_real_one_did(name, happenings):
    """The workflow asks for the activities that it asked a real server for when its history was
    recorded, in the order of their first time."""
    one = run(Plan(approve_after=100.0, happenings=happenings))
    asked_for = [name for name in dict.fromkeys(one.activities) if name != "notify"]
    assert asked_for == _recorded(name)


def _is_kept(plan):
    one = run(plan)
    found = broken(one)
    assert not found, "\n".join([*found, story(one)])


def _recorded(name):
    events = json.loads(recordings.current(name))["events"]
    scheduled = (e.get("activityTaskScheduledEventAttributes") for e in events)
    return list(dict.fromkeys(one["activityType"]["name"] for one in scheduled if one))

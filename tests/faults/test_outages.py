"""Temporal, AWS and the channels fail for a while: the release waits, goes on, or goes back."""

import asyncio
import random
import shutil
import time

import pytest

from release.audit_story import tell
from release.promotion import Outcome
from release.verdict import Verdict
from tests.faults.aws_calls import Call
from tests.faults.aws_proxy import Fate, Rules
from tests.faults.lane import CLOCK_FACTOR
from tests.faults.promises import violations
from tests.faults.promotion import ROLLED_BACK, SCENARIOS, SUCCESS, promote

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

_PHASES = 12
_HOUR_SECONDS = 3600 / CLOCK_FACTOR
_CUT_SECONDS = 15.0  # longer than an activity's heartbeats may be away
_ENDS = (Outcome.COMPLETED, Outcome.FAILED, Outcome.ROLLED_BACK)
APIS = (
    *(
        "GetAlias",
        "UpdateAlias",
        "PublishVersion",
        "UpdateFunctionCode",
        "GetFunctionConfiguration",
    ),
    *("UpdateFunctionConfiguration", "ListVersionsByFunction", "Invoke"),
    *("PutObject", "GetItem", "Query", "PutItem", "TransactWriteItems", "GetParameter"),
    *("GetSecretValue", "DescribeAlarms", "GetMetricData", "PutMetricAlarm", "DeleteAlarms"),
)


class Failing(Rules):
    """Some calls fail while it lasts."""

    def __init__(self, fate, wanted, seconds=float("inf"), share=1.0, draw=None):
        self._fate, self._wanted, self._share = fate, wanted, share
        self._until = time.time() + seconds
        self._random = random.Random(draw)
        self.faults = 0

    def decide(self, call: Call) -> Fate:
        if time.time() > self._until or not self._wanted(call):
            return Fate.PASS
        if self._share < 1 and self._random.random() > self._share:
            return Fate.PASS
        self.faults += 1
        return self._fate


class LosingAnswers(Rules):
    """Every write is done by AWS, and the first answer to it gets lost."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.faults = 0

    def decide(self, call: Call) -> Fate:
        if not call.writes or call.label in self._known:
            return Fate.PASS
        self._known.add(call.label)
        self.faults += 1
        return Fate.LOSE


class Stale(Rules):
    """For some seconds after a write a read may answer what it did before."""

    def __init__(self, draw: int) -> None:
        self._random, self._written, self.faults = random.Random(draw), 0.0, 0

    def decide(self, call: Call) -> Fate:
        if call.op == "UpdateAlias":
            self._written = time.time()
        fresh = time.time() - self._written < 5
        if call.op == "GetAlias" and fresh and self._random.random() < 0.5:
            self.faults += 1
            return Fate.STALE
        return Fate.PASS


def at_phase(phase, phases, action):
    """`action` at every `phases`-th label, from `phase` on."""
    seen = 0

    def after(run, label):
        nonlocal seen
        if seen % (phases * 4) == phase * 4:
            run.killed_at.append(label)
            action(run)
        seen += 1

    return after


@pytest.mark.parametrize("phase", range(_PHASES))
async def test_temporal_is_killed_and_restarted(lane, noted, phase):
    """The server dies by SIGKILL and comes back with its file: the promotion goes on by itself."""

    def kill(run):
        lane.kill_temporal()

    run = await promote(lane, SUCCESS, at_phase(phase, _PHASES, kill))

    found = await violations(run, SUCCESS.outcome)
    noted("Temporal killed and restarted", len(run.killed_at), found, run.seconds)


@pytest.mark.parametrize("phase", range(0, _PHASES, 2))
async def test_temporal_is_out_of_reach_of_the_worker(lane, noted, phase):
    """The worker hears nothing of Temporal for a while: activities that overlap do no harm."""

    def cut(run):
        if not lane.temporal.is_down:
            run.begin(away())

    async def away():
        lane.cut_temporal(down=True)
        await asyncio.sleep(_CUT_SECONDS)
        lane.cut_temporal(down=False)

    run = await promote(lane, SUCCESS, at_phase(phase, _PHASES, cut))

    found = await violations(run, SUCCESS.outcome)
    noted(f"Temporal out of reach for {_CUT_SECONDS:.0f} s", len(run.killed_at), found, run.seconds)


@pytest.mark.parametrize("name", ["success", "alarm rollback"])
async def test_answers_to_every_write_get_lost(lane, noted, name):
    """What was applied and not answered is recognised as one's own: it is neither done twice, nor
    taken for somebody else's.
    """
    rules = LosingAnswers()
    run = await promote(lane, SCENARIOS[name], _from_the_start(lane, rules))

    found = await violations(run, SCENARIOS[name].outcome)
    noted(f"applied, but the answer lost: {name}", rules.faults, found, run.seconds)


@pytest.mark.parametrize("name", ["success", "alarm rollback"])
async def test_half_of_all_calls_answer_500(lane, noted, seed, name):
    """It ends as it should, or as failed with production on the old version: nothing in between."""
    rules = Failing(Fate.ERROR, lambda call: True, share=0.5, draw=seed)
    run = await promote(lane, SCENARIOS[name], _from_the_start(lane, rules))

    found = await violations(run, *_ENDS)
    noted(f"half of all calls answer 500: {name}", rules.faults, found, run.seconds)


async def test_aliases_are_read_stale(lane, noted, seed):
    """A read that shows the alias as it was moves nothing back and nothing twice."""
    rules = Stale(seed)
    run = await promote(lane, SUCCESS, _from_the_start(lane, rules))

    found = await violations(run, *_ENDS)
    noted("aliases read stale for 5 s", rules.faults, found, run.seconds)


@pytest.mark.parametrize("api", APIS)
async def test_one_api_is_throttled(lane, noted, api):
    """All calls of one kind are throttled for 20 s, from their first on."""
    rules: Failing | None = None

    def wanted(call: Call) -> bool:
        return call.op == api

    class FromItsFirst(Rules):
        def decide(self, call: Call) -> Fate:
            nonlocal rules
            if rules is None and wanted(call):
                rules = Failing(Fate.THROTTLE, wanted, seconds=20)
            return rules.decide(call) if rules else Fate.PASS

    run = await promote(lane, SUCCESS, _from_the_start(lane, FromItsFirst()))

    found = await violations(run, *_ENDS)
    noted("one API throttled for 20 s", rules.faults if rules else 0, found, run.seconds)


@pytest.mark.skipif(shutil.which("cc") is None, reason="a skewed clock needs a C compiler")
@pytest.mark.parametrize("seconds", [300, -300])
@pytest.mark.parametrize("name", ["success", "alarm rollback"])
async def test_workers_clock_is_wrong(lane, noted, name, seconds):
    """No weight comes early or late by it, and no lease is stale by it."""

    def after(run, label):
        if label == "workflow_execution_started#1":
            lane.skew_clock(seconds)

    run = await promote(lane, SCENARIOS[name], after)

    found = await violations(run, SCENARIOS[name].outcome)
    found += [f"F6: {text}" for text in early(run)]
    noted("worker's clock 5 min ahead or behind", 1, found, run.seconds)


@pytest.mark.parametrize("seconds", [10, 45])
async def test_alarms_cannot_be_read(lane, noted, seconds):
    """Nothing climbs unseen: the weight holds, and goes back when it was blind for too long."""
    rules: Failing | None = None

    def at_a_rung(run, label):
        nonlocal rules
        if label == "completed shift_step#1":
            wanted = lambda call: call.op == "DescribeAlarms"  # noqa: E731
            rules = lane.rules = Failing(Fate.ERROR, wanted, seconds=seconds)

    run = await promote(lane, SUCCESS, at_a_rung)

    expected = Outcome.COMPLETED if seconds < 30 else Outcome.ROLLED_BACK
    found = await violations(run, expected)
    assert rules is not None
    noted("alarms cannot be read", rules.faults, found, run.seconds)


@pytest.mark.parametrize("refusals", [1, 2, 3, 8])
async def test_rollback_is_refused_for_a_while(lane, noted, refusals):
    """A rollback does not give up: as soon as AWS lets it, all traffic is back."""

    class Refusing(Rules):
        faults = 0

        def decide(self, call: Call) -> Fate:
            if call.op == "UpdateAlias" and "whole" in call.label and self.faults < 3 * refusals:
                self.faults += 1
                return Fate.THROTTLE
            return Fate.PASS

    rules = Refusing()

    def at_the_rollback(run, label):
        if label == "scheduled shift_step#1":
            lane.rules = rules

    run = await promote(lane, ROLLED_BACK, at_the_rollback)

    found = await violations(run, Outcome.ROLLED_BACK)
    noted("rollback refused 1, 2, 3, 8 times", rules.faults, found, run.seconds)


@pytest.mark.parametrize("name", ["success", "alarm rollback"])
@pytest.mark.parametrize("what", ["DynamoDB", "the channel", "both"])
async def test_places_of_the_record_are_down(lane, noted, name, what):
    """Release and rollback do not wait for them; the record is whole once they are back."""
    rules: Failing | None = None
    closed = 0.0

    def wanted(call: Call) -> bool:
        return (
            what != "the channel"
            and call.service == "aws"
            and call.op
            in {
                *("GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"),
            }
        )

    def after(run, label):
        nonlocal rules, closed
        if label == "stage approval":
            rules = lane.rules = Failing(Fate.ERROR, wanted)
            lane.listener.is_down = what != "DynamoDB"
        if "workflow_execution_completed" in label:
            closed = time.time()
            run.begin(back())

    async def back():
        await asyncio.sleep(_HOUR_SECONDS)
        lane.rules, lane.listener.is_down = Rules(), False

    run = await promote(lane, SCENARIOS[name], after)

    assert rules is not None
    found = await violations(run, SCENARIOS[name].outcome)
    if not closed:
        found.append("end: it waited for the record")
    noted(f"{what} down, {name}", max(rules.faults, 1), found, run.seconds)


def early(run):
    """Rungs of the audit that passed before their two seconds were over."""
    rungs = tell(run.events, run.handle.id).rungs
    for rung in rungs[:-1]:
        passed = rung.judgement is not None and rung.judgement.verdict is Verdict.PASSED
        if passed and rung.ended and (rung.ended - rung.begun).total_seconds() < 1.5:
            yield f"{rung.weight:g} was left after {rung.ended - rung.begun}"


def _from_the_start(lane, rules):
    def after(run, label):
        lane.rules = rules

    return after

"""One step of the ladder, run as an activity: what it writes, what it sees, when it ends."""

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.inputs import AlarmsInput, Progress, StepInput
from activities.measure import floor
from activities.shift_step import ShiftSteps
from activities.traffic import Traffic
from release.lease import Hand, Lease, Note
from release.policy import Shift
from release.promotion import AliasState
from release.sequential import SUSPICION
from release.verdict import Verdict

OLD, NEW = "7", "8"
FUNCTION = "crypto-watch-api-prod"
ME = Lease(holder="promotion/x", run="r1", baseline=OLD, expires=datetime(2026, 1, 1, tzinfo=UTC))


class OneAlias:
    """Lambda's control plane, as far as one alias goes, with its `RevisionId`."""

    def __init__(self) -> None:
        self.alias = {"FunctionVersion": OLD, "RoutingConfig": {}, "Description": ""}
        self.touch()
        self.writes: list[dict] = []
        self.before_write = lambda: None

    def touch(self, **new) -> None:
        self.alias |= new | {"RevisionId": uuid.uuid4().hex}

    def get_alias(self, FunctionName, Name):
        return dict(self.alias)

    def update_alias(self, FunctionName, Name, RevisionId, **new):
        self.before_write()
        if RevisionId != self.alias["RevisionId"]:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
        self.touch(**new)
        self.writes.append(new)
        return dict(self.alias)

    @property
    def weight(self) -> float:
        return sum(self.alias["RoutingConfig"].get("AdditionalVersionWeights", {}).values())


class Metrics:
    """CloudWatch with so many requests and failures a second and version; None answers nothing."""

    def __init__(self) -> None:
        self.per_second = {OLD: (20, 0), NEW: (5, 0)}
        self.slow = {OLD: (0, 0), NEW: (0, 0)}  # warm requests, and those that were slow
        self.last: dict[str, float] = {}  # a version's last second of answers (epoch), if any
        self.red: list[str] = []
        self.error: Exception | None = None
        self.alarm_error: Exception | None = None
        self.state = "OK"  # of the alarms that are not red
        self.gone: list[str] = []
        self.looks = self.alarm_looks = 0
        self.on_look = lambda: None

    def get_paginator(self, _):
        return self

    def paginate(self, MetricDataQueries, StartTime, EndTime):
        self.looks += 1
        if self.error:
            raise self.error
        seconds = range(int(StartTime.timestamp()), int(EndTime.timestamp()))
        times = [datetime.fromtimestamp(second, UTC) for second in seconds]
        results = []
        for query in MetricDataQueries:
            metric = query["MetricStat"]["Metric"]
            dimensions = {d["Name"]: d["Value"] for d in metric["Dimensions"]}
            requests, failures = self.per_second[dimensions["ExecutedVersion"]]
            value = {"Requests": requests, "ServerErrors": failures}.get(metric["MetricName"], 0)
            if metric["MetricName"] == "WarmLatency":
                warm, slow = self.slow[dimensions["ExecutedVersion"]]
                value = warm if query["MetricStat"]["Stat"] == "SampleCount" else slow
            last = self.last.get(dimensions["ExecutedVersion"], float("inf"))
            values = [value if second <= last else 0 for second in seconds]
            results.append({"Id": query["Id"], "Timestamps": times, "Values": values})
        return [{"MetricDataResults": results}]

    def describe_alarms(self, AlarmNames):
        self.alarm_looks += 1
        self.on_look()
        if self.alarm_error:
            raise self.alarm_error
        states = {name: self.state for name in AlarmNames if name not in self.gone}
        states |= {name: "ALARM" for name in self.red_now() if name in states}
        return {"MetricAlarms": [{"AlarmName": n, "StateValue": s} for n, s in states.items()]}

    def red_now(self):
        return self.red


class Bench:
    """An alias, its metrics, and a step to run on them."""

    def __init__(self) -> None:
        self.aws, self.metrics = OneAlias(), Metrics()
        self.traffic = Traffic(self.aws)
        self.beats: list[dict] = []

    def order(self, **changed) -> StepInput:
        now = datetime.now(UTC)
        before = floor(now - timedelta(seconds=10), 1)
        return StepInput(
            **{
                "watched": AlarmsInput(
                    service="crypto-watch",
                    environment="prod",
                    function=FUNCTION,
                    canary=NEW,
                    period_seconds=10,
                ),
                "expected": self.traffic.read(FUNCTION, "live"),
                "baseline": OLD,
                "weight": 0.2,
                "next_weight": 0.3,
                "min_duration": timedelta(seconds=0.2),
                "since": now,
                "shift": Shift(min_requests=0, max_blind=timedelta(seconds=1)),
                "progress": Progress(answers_until=before, crashes_until=before),
                "lease": ME,
                "bucket_seconds": 1,
                "crash_bucket_seconds": 1,
            }
            | changed
        )

    async def run(self, order: StepInput, **info):
        """The activity's result, in a thread as in the worker."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, **{"started_time": datetime.now(UTC)} | info)
        environment.on_heartbeat = lambda *details: self.beats.append(details[0])
        steps = ShiftSteps(self.traffic, self.metrics)
        with ThreadPoolExecutor(1) as thread:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(thread, environment.run, steps.shift_step, order)
            return await asyncio.wait_for(work, 30)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def lease_of(bench: Bench) -> Lease:
    found = Lease.from_description(bench.aws.alias["Description"])
    assert found is not None
    return found


async def test_good_step_moves_the_weight_and_passes(bench):
    """Its time over, nothing against it: passed, with the alias as it was left."""
    result = await bench.run(bench.order())

    assert result.judgement.verdict is Verdict.PASSED
    assert bench.aws.weight == 0.2
    assert result.alias == bench.traffic.read(FUNCTION, "live")
    assert lease_of(bench).expires > datetime.now(UTC) + timedelta(seconds=100)


async def test_broken_version_is_failed_within_seconds(bench):
    """All of its requests fail: failed long before the step's time is over, with the figures."""
    bench.metrics.per_second[NEW] = (8, 8)
    result = await bench.run(bench.order(min_duration=timedelta(minutes=5)))

    assert result.judgement.verdict is Verdict.FAILED
    assert "requests failed (100.0%)" in result.judgement.reason
    assert "100 is enough" in result.judgement.reason
    assert bench.beats[-1]["evidence"] >= 100


async def test_slow_requests_of_both_versions_stand_in_the_judgement(bench):
    """Whoever reads the record later sees how slow either was, not only the verdict."""
    bench.metrics.slow = {OLD: (20, 2), NEW: (5, 1)}
    order = bench.order(slow_ms=(80, 200))
    served = order.progress.weighed(order.progress.answers_until, 0.1)
    result = await bench.run(order.model_copy(update={"progress": served}))

    new, old = result.judgement.slow_canary, result.judgement.slow_baseline
    assert new.requests > 0
    assert new.failures == new.requests / 5
    assert old.failures == old.requests / 10


async def test_what_was_asked_before_the_weight_is_not_productions(bench):
    """Smoke asks the new version at weight 0, in a quiet hour more often than anybody else does."""
    order = bench.order(slow_ms=(80, 200), min_duration=timedelta(seconds=2))
    bench.metrics.per_second = {OLD: (0, 0), NEW: (8, 8)}
    bench.metrics.slow = {OLD: (0, 0), NEW: (8, 8)}
    bench.metrics.last[NEW] = order.since.timestamp()

    judgement = (await bench.run(order)).judgement

    assert judgement.verdict is Verdict.PASSED
    assert not judgement.step_back
    assert (judgement.canary.requests, judgement.slow_canary.requests) == (0, 0)


async def test_evidence_that_grows_takes_one_step_back(bench):
    """Suspected, not proved: fewer users meet it while the evidence decides."""
    bench.metrics.per_second[NEW] = (4, 2)
    result = await bench.run(bench.order(min_duration=timedelta(minutes=5)))

    assert result.judgement.step_back
    assert SUSPICION <= result.judgement.evidence < 100


async def test_suspicion_of_one_step_is_proved_in_the_next(bench):
    """What was counted travels with the release: the next step fails it at once."""
    bench.metrics.per_second[NEW] = (4, 2)
    first = await bench.run(bench.order(min_duration=timedelta(minutes=5)))

    order = bench.order(weight=0.1, progress=first.progress, expected=first.alias)
    second = await bench.run(order.model_copy(update={"min_duration": timedelta(minutes=5)}))

    assert second.judgement.evidence > first.judgement.evidence


async def test_too_few_judged_requests_hold_the_step_until_the_rule_decides(bench):
    """A quiet night: after `max_wait` the low-traffic rule lets it pass, and says so."""
    bench.metrics.per_second[NEW] = (0, 0)
    shift = Shift(min_requests=20, max_wait=timedelta(seconds=1))
    result = await bench.run(bench.order(shift=shift))

    assert result.judgement.verdict is Verdict.PASSED
    assert result.judgement.reason == (
        "low traffic: 0 canary requests judged, 20 wanted; rule: proceed"
    )


async def test_low_traffic_can_roll_back_by_policy(bench):
    """The other rule: what could not be judged does not go on."""
    bench.metrics.per_second[NEW] = (0, 0)
    shift = Shift(min_requests=20, max_wait=timedelta(seconds=1), low_traffic="roll_back")

    result = await bench.run(bench.order(shift=shift))

    assert result.judgement.verdict is Verdict.INCONCLUSIVE


async def test_blind_step_holds_and_then_rolls_back(bench):
    """Nothing could be measured for `max_blind`: inconclusive, never passed."""
    bench.metrics.error = ClientError({"Error": {"Code": "Throttling"}}, "GetMetricData")

    result = await bench.run(bench.order())

    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert "could not measure for 1 s" in result.judgement.reason
    assert bench.metrics.looks > 1


async def test_red_alarm_fails_the_step(bench):
    """The flow's alarms stay as the hard net, whatever the test thinks."""
    bench.metrics.red = ["crypto-watch-backend-prod-lambda-throttles"]

    result = await bench.run(bench.order(min_duration=timedelta(minutes=5)))

    assert result.judgement.verdict is Verdict.FAILED
    assert result.judgement.reason == "alarm crypto-watch-backend-prod-lambda-throttles"


async def test_alarm_that_was_red_before_does_not_fail_the_step(bench):
    """A fix can be released while the alarm that it mends is red."""
    name = "crypto-watch-backend-prod-api-5xx"
    bench.metrics.red = [name]
    order = bench.order()
    progress = order.progress.model_copy(update={"preexisting_alarms": (name,)})

    result = await bench.run(order.model_copy(update={"progress": progress}))

    assert result.judgement.verdict is Verdict.PASSED
    assert lease_of(bench).ignored == ("api-5xx",)


async def test_alarm_that_was_red_and_cleared_counts_again(bench):
    """Pre-existing is what never cleared: the next red is the release's."""
    name = "crypto-watch-backend-prod-api-5xx"
    order = bench.order()
    progress = order.progress.model_copy(update={"preexisting_alarms": (name,)})

    result = await bench.run(order.model_copy(update={"progress": progress}))

    assert result.progress.preexisting_alarms == ()


THROTTLES = "crypto-watch-backend-prod-lambda-throttles"


async def test_alarms_that_cannot_be_read_hold_the_step_until_they_can(bench):
    """DescribeAlarms fails and comes back: the step's time is over long before, it passes after."""
    bench.metrics.alarm_error = ClientError({"Error": {"Code": "Throttling"}}, "DescribeAlarms")

    def comes_back():
        if bench.metrics.alarm_looks > 3:
            bench.metrics.alarm_error = None

    bench.metrics.on_look = comes_back
    shift = Shift(min_requests=0, max_blind=timedelta(seconds=20))
    result = await bench.run(bench.order(shift=shift))

    assert result.judgement.verdict is Verdict.PASSED
    assert bench.metrics.alarm_looks > 3
    assert bench.aws.weight == 0.2


async def test_alarms_that_cannot_be_read_for_long_end_the_step_inconclusive(bench):
    """The metrics look well, but the hard net is not seen: that is no pass."""
    bench.metrics.alarm_error = ClientError({"Error": {"Code": "Throttling"}}, "DescribeAlarms")

    result = await bench.run(bench.order())

    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert result.judgement.reason.startswith("could not measure for 1 s: ")
    assert "DescribeAlarms" in result.judgement.reason


async def test_alarm_that_was_deleted_is_not_a_quiet_one(bench):
    """Somebody deletes an alarm while traffic shifts: nothing climbs past it, and it is named."""
    bench.metrics.gone = [THROTTLES]

    result = await bench.run(bench.order())

    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert result.judgement.reason == f"could not measure for 1 s: no such alarm: {THROTTLES}"


async def test_alarm_that_comes_back_lets_the_step_go_on(bench):
    """A stack update replaces an alarm: the weight is held that long, no longer."""
    bench.metrics.gone = [THROTTLES]
    bench.metrics.on_look = lambda: bench.metrics.alarm_looks < 3 or bench.metrics.gone.clear()
    shift = Shift(min_requests=0, max_blind=timedelta(seconds=20))

    result = await bench.run(bench.order(shift=shift))

    assert result.judgement.verdict is Verdict.PASSED
    assert bench.metrics.alarm_looks >= 3


async def test_flapping_alarm_fails_the_step_the_first_time_it_is_red(bench):
    """Red at every other look: whoever waits for it to stay red waits for ever."""
    red_at = []

    def flaps():
        red = bench.metrics.alarm_looks % 2 == 0
        red_at.extend([bench.metrics.alarm_looks] * red)
        return [THROTTLES] * red

    bench.metrics.red_now = flaps
    result = await bench.run(bench.order(min_duration=timedelta(minutes=5)))

    assert result.judgement.verdict is Verdict.FAILED
    assert result.judgement.reason == f"alarm {THROTTLES}"
    assert red_at == [2]


async def test_flapping_alarm_that_was_red_before_counts_from_its_second_red_on(bench):
    """Red at the start is no verdict; once it was clear, the next red is."""
    bench.metrics.red_now = lambda: [THROTTLES] * (bench.metrics.alarm_looks % 2)
    order = bench.order(min_duration=timedelta(minutes=5))
    progress = order.progress.model_copy(update={"preexisting_alarms": (THROTTLES,)})

    result = await bench.run(order.model_copy(update={"progress": progress}))

    assert result.judgement.verdict is Verdict.FAILED
    assert bench.metrics.alarm_looks == 3


async def test_alarms_without_data_neither_fail_a_step_nor_pass_it(bench):
    """INSUFFICIENT_DATA throughout is not red; what was counted decides."""
    bench.metrics.state = "INSUFFICIENT_DATA"
    assert (await bench.run(bench.order())).judgement.verdict is Verdict.PASSED

    bench.metrics.per_second[NEW] = (0, 0)
    shift = Shift(min_requests=20, max_wait=timedelta(seconds=1), low_traffic="roll_back")
    again = bench.order(shift=shift, expected=bench.traffic.read(FUNCTION, "live"))
    assert (await bench.run(again)).judgement.verdict is Verdict.INCONCLUSIVE


async def test_shared_incident_holds_the_weight_and_tells_the_guard(bench):
    """Both versions fail alike: nobody rolls back at once, nothing climbs, and it does not last."""
    bench.metrics.per_second = {OLD: (20, 4), NEW: (5, 1)}
    bench.metrics.red = ["crypto-watch-backend-prod-api-5xx"]
    seen = []
    bench.aws.before_write = lambda: seen.append(bench.aws.alias["Description"])
    shift = Shift(min_requests=0, max_blind=timedelta(seconds=8))

    result = await bench.run(bench.order(shift=shift))

    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert "a shared incident, both versions fail" in result.judgement.reason
    assert lease_of(bench).ignored == ("api-5xx",)


async def test_repeated_attempt_writes_nothing_new(bench):
    """A worker died after its write: the next attempt finds the weight and goes on."""
    order = bench.order()
    await bench.run(order)
    writes = len(bench.aws.writes)

    result = await bench.run(order)

    assert result.judgement.verdict is Verdict.PASSED
    assert len(bench.aws.writes) == writes


async def test_step_that_comes_late_looks_before_it_climbs(bench):
    """Lambda was out for minutes: meanwhile the new version broke, and no more users meet it."""
    bench.metrics.per_second[NEW] = (8, 8)
    late = datetime.now(UTC) - timedelta(minutes=2)
    order = bench.order(since=late)

    weighed = order.progress.weighed(late - timedelta(minutes=1), 0.1)
    result = await bench.run(order.model_copy(update={"progress": weighed}))

    assert result.judgement.verdict is Verdict.FAILED
    assert bench.aws.writes == []


async def test_step_that_comes_late_and_sees_nothing_does_not_climb(bench):
    """Blind after an outage: the weight stays where it is."""
    bench.metrics.error = ClientError({"Error": {"Code": "Throttling"}}, "GetMetricData")
    late = datetime.now(UTC) - timedelta(minutes=2)

    result = await bench.run(bench.order(since=late))

    assert result.judgement.verdict is Verdict.INCONCLUSIVE
    assert bench.aws.writes == []


async def test_time_before_the_weight_was_there_is_not_the_steps(bench):
    """No worker for minutes: the step is watched for its whole time, counted from its weight on."""
    late = datetime.now(UTC) - timedelta(minutes=2)
    began = time.monotonic()

    result = await bench.run(bench.order(since=late, min_duration=timedelta(seconds=1)))

    assert result.judgement.verdict is Verdict.PASSED
    assert time.monotonic() - began >= 1


async def test_later_attempt_goes_on_with_the_time_that_was_served(bench):
    """The worker died near the end of a long step: it is not watched all over again."""
    order = bench.order(min_duration=timedelta(minutes=5))
    late = order.since - timedelta(minutes=6)
    await bench.run(order.model_copy(update={"min_duration": timedelta(seconds=0.1)}))

    told = {"since": late.isoformat()}
    result = await bench.run(order.model_copy(update={"since": late}), heartbeat_details=[told])

    assert result.judgement.verdict is Verdict.PASSED


async def test_foreign_weight_stops_the_step_and_is_left_alone(bench):
    """Somebody else's write is shown with both states, and stays."""
    order = bench.order()
    bench.aws.touch(RoutingConfig={"AdditionalVersionWeights": {NEW: 0.77}})

    with pytest.raises(ApplicationError, match="we left version 7, found version 7 with 77 %"):
        await bench.run(order)

    assert bench.aws.weight == 0.77


async def test_intervention_while_watching_ends_the_step(bench):
    """The guard was faster: the next renewal finds its note and says so."""
    note = Note(hand=Hand.GUARD, by="guard", reason="no sign of life", at=datetime.now(UTC))
    order = bench.order(min_duration=timedelta(minutes=5))
    state: AliasState = bench.traffic.read(FUNCTION, "live")
    assert state.description == ""
    bench.metrics.red = ["crypto-watch-backend-prod-api-5xx"]
    bench.metrics.per_second = {OLD: (20, 4), NEW: (5, 1)}
    writes = iter([None])

    def second_write_meets_the_guard():
        if next(writes, "guard") == "guard":
            bench.aws.touch(RoutingConfig={}, Description=note.to_description())

    bench.aws.before_write = second_write_meets_the_guard
    with pytest.raises(ApplicationError, match="put back past the release by guard"):
        await bench.run(order)

    assert bench.aws.weight == 0


async def test_second_run_of_the_same_commit_is_another_holder(bench):
    """The lease of a run that was reset is not taken for one's own."""
    await bench.run(bench.order())
    order = bench.order(lease=ME.model_copy(update={"run": "r2"}))
    bench.aws.touch()

    with pytest.raises(ApplicationError, match="somebody else changed"):
        await bench.run(order)


@pytest.mark.parametrize("minutes", [5, -5])
async def test_workers_clock_moves_neither_a_rung_nor_a_lease(bench, minutes):
    """Both are the server's time: the worker's machine may be five minutes behind, or ahead."""
    server, began = datetime.now(UTC) + timedelta(minutes=minutes), time.monotonic()
    until = floor(server - timedelta(seconds=10), 1)
    order = bench.order(
        since=server,
        min_duration=timedelta(seconds=1),
        progress=Progress(answers_until=until, crashes_until=until),
    )

    result = await bench.run(order, started_time=server)

    assert result.judgement.verdict is Verdict.PASSED
    assert time.monotonic() - began >= 1
    left = lease_of(bench).expires - server
    assert timedelta(seconds=110) < left < timedelta(seconds=130)

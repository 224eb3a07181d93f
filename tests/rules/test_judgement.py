"""When a step is harmful, good, undecided, or not to be measured."""

from datetime import timedelta

from release.judgement import judge_blindness, judge_end, judge_harm
from release.policy import LowTraffic, Shift, ShiftStep
from release.promotion import Counts
from release.verdict import Verdict

MINUTE = timedelta(minutes=1)
LADDER = (ShiftStep(canary_weight=1.0),)
SHIFT = Shift(
    steps=LADDER,
    min_requests=20,
    max_wait=timedelta(minutes=10),
    max_error_rate=0.05,
    min_failures=3,
    max_blind=timedelta(minutes=5),
)
HEALTHY = Counts(requests=900, failures=0)


def test_failing_canary_beside_a_healthy_baseline_is_harm():
    """A new version that fails more than allowed, and more than the old one, has failed."""
    harm = judge_harm(SHIFT, Counts(requests=100, failures=20), HEALTHY, firing=())

    assert harm is not None
    assert harm.verdict is Verdict.FAILED
    assert harm.reason == "20 of 100 requests failed (20.0%; limit 5.0%; baseline 0.0%)"


def test_harm_keeps_the_counts_it_was_seen_in():
    """The record shows both versions' figures, not the conclusion alone."""
    canary = Counts(requests=100, failures=20)
    harm = judge_harm(SHIFT, canary, HEALTHY, firing=())

    assert harm is not None
    assert (harm.canary, harm.baseline) == (canary, HEALTHY)


def test_healthy_canary_is_no_harm():
    """Nothing failed, nothing is said."""
    assert judge_harm(SHIFT, Counts(requests=100), HEALTHY, firing=()) is None


def test_nothing_measured_is_no_harm():
    """No request is no failure."""
    assert judge_harm(SHIFT, Counts(), Counts(), firing=()) is None


def test_error_rate_at_the_limit_is_no_harm():
    """The limit itself is still allowed: 5 of 100 at 5 %."""
    assert judge_harm(SHIFT, Counts(requests=100, failures=5), HEALTHY, firing=()) is None
    assert judge_harm(SHIFT, Counts(requests=100, failures=6), HEALTHY, firing=()) is not None


def test_baseline_just_as_bad_does_not_roll_back():
    """When the world is broken for both versions, the new one is not to blame."""
    as_bad = Counts(requests=900, failures=270)

    assert judge_harm(SHIFT, Counts(requests=100, failures=30), as_bad, firing=()) is None


def test_canary_worse_than_a_bad_baseline_is_harm():
    """A bad baseline excuses what it does itself and no more."""
    bad = Counts(requests=900, failures=270)

    assert judge_harm(SHIFT, Counts(requests=100, failures=31), bad, firing=()) is not None


def test_fewer_than_min_failures_decide_nothing():
    """Two failures of two requests are 100 %, and still chance; the third decides."""
    assert judge_harm(SHIFT, Counts(requests=2, failures=2), HEALTHY, firing=()) is None
    assert judge_harm(SHIFT, Counts(requests=3, failures=3), HEALTHY, firing=()) is not None


def test_firing_alarm_is_harm_without_any_count():
    """An alarm that went red is enough, and the record names every one."""
    harm = judge_harm(SHIFT, Counts(), Counts(), firing=("api-5xx", "throttles"))

    assert harm is not None
    assert harm.verdict is Verdict.FAILED
    assert harm.reason == "alarm api-5xx, throttles"


def test_alarm_is_harm_even_when_the_baseline_is_as_bad():
    """The alarms are the flow's own rule: comparing with the baseline does not soften them."""
    bad = Counts(requests=100, failures=50)

    assert judge_harm(SHIFT, bad, bad, firing=("lambda-errors",)) is not None


def test_step_does_not_end_before_its_time():
    """However much traffic was judged, a rung lasts its minute."""
    busy = Counts(requests=100_000)

    assert judge_end(SHIFT, MINUTE, timedelta(seconds=59.9), busy, HEALTHY) is None


def test_step_ends_on_its_minute_with_enough_requests():
    """Exactly the time and exactly the wanted requests pass."""
    end = judge_end(SHIFT, MINUTE, MINUTE, Counts(requests=20, failures=1), HEALTHY)

    assert end is not None
    assert end.verdict is Verdict.PASSED
    assert end.reason == "1 of 20 requests failed"


def test_step_with_too_few_requests_goes_on():
    """One request short of enough waits, up to the longest wait."""
    few = Counts(requests=19)

    assert judge_end(SHIFT, MINUTE, MINUTE, few, HEALTHY) is None
    assert judge_end(SHIFT, MINUTE, timedelta(minutes=9.99), few, HEALTHY) is None


def test_low_traffic_that_proceeds_passes_and_says_so():
    """After the longest wait the rung passes, with the rule in the record."""
    end = judge_end(SHIFT, MINUTE, timedelta(minutes=10), Counts(requests=19), HEALTHY)

    assert end is not None
    assert end.verdict is Verdict.PASSED
    assert end.reason == "low traffic: 0 of 19 requests failed, 20 wanted; rule: proceed"


def test_low_traffic_that_rolls_back_is_inconclusive():
    """Too little was seen to call the release bad: it is not failed, and it does not go on."""
    shift = SHIFT.model_copy(update={"low_traffic": LowTraffic.ROLL_BACK})
    end = judge_end(shift, MINUTE, timedelta(minutes=10), Counts(requests=19), HEALTHY)

    assert end is not None
    assert end.verdict is Verdict.INCONCLUSIVE
    assert end.reason.endswith("rule: roll_back")


def test_rung_longer_than_the_longest_wait_keeps_its_time():
    """`max_wait` never shortens a rung."""
    hour = timedelta(hours=1)
    few = Counts(requests=1)

    assert judge_end(SHIFT, hour, timedelta(minutes=59), few, HEALTHY) is None
    assert judge_end(SHIFT, hour, hour, few, HEALTHY) is not None


def test_policy_that_wants_no_requests_passes_on_time_alone():
    """`min_requests = 0` is a ladder of time only."""
    shift = SHIFT.model_copy(update={"min_requests": 0})
    end = judge_end(shift, MINUTE, MINUTE, Counts(), Counts())

    assert end is not None
    assert end.verdict is Verdict.PASSED


def test_short_blindness_holds_the_weight():
    """A gap in the measurements decides nothing until `max_blind`."""
    assert judge_blindness(SHIFT, timedelta(minutes=4.99), "throttled") is None


def test_long_blindness_is_inconclusive_and_names_its_cause():
    """A release that cannot be watched does not go on, and nobody calls it bad."""
    blind = judge_blindness(SHIFT, timedelta(minutes=5), "CloudWatch does not answer")

    assert blind is not None
    assert blind.verdict is Verdict.INCONCLUSIVE
    assert blind.reason == "could not measure for 300 s: CloudWatch does not answer"

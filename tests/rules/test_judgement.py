"""When a rung is failed, passed, held, or inconclusive."""

from datetime import timedelta

import pytest

from release.judgement import Looked, judge_blindness, judge_end, judge_harm
from release.policy import Shift, ShiftStep
from release.promotion import Counts
from release.sequential import Pair, SequentialTest, metrics
from release.verdict import Verdict

TESTED = metrics()
MINUTE = timedelta(minutes=1)
RUNG = ShiftStep(canary_weight=0.2, min_duration=MINUTE)
ALARM = ("crypto-watch-backend-prod-api-5xx",)


def seen(*pairs: Pair) -> SequentialTest:
    """A test that has counted these."""
    test = SequentialTest()
    for pair in pairs:
        for metric in TESTED:
            quiet = pair._replace(canary_events=0, baseline_events=0)
            test.add(metric, 0.1, pair if metric.name == "failed" else quiet)
    return test


def look(**known) -> Looked:
    """A look at the rung after two minutes, with nothing against it."""
    values = {"elapsed": 2 * MINUTE, "judged": 1000, "canary": Counts(), "baseline": Counts()}
    return Looked(**values | known)


CLEAN = seen(Pair(100, 900, 0, 0))
BROKEN = seen(*[Pair(10, 90, 5, 0)] * 3)
INCIDENT = seen(*[Pair(10, 90, 2, 18)] * 3)


def harm(test, known):
    return judge_harm(Shift(), TESTED, test, known)


def end(test, known, next_weight=0.3, **shift):
    return judge_end(Shift(**shift), RUNG, next_weight, TESTED, test, known)


def test_worse_version_fails_with_its_figures():
    """Whoever reads it at 3 a.m. sees both versions' counts and how sure it is."""
    judgement = harm(BROKEN, look())

    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason.startswith(
        "new 15 of 30 requests failed (50.0%), old 0 of 270 requests failed (0.0%); evidence "
    )
    assert judgement.evidence >= 100


def test_nothing_against_it_is_no_harm():
    """Neither evidence nor an alarm."""
    assert harm(CLEAN, look()) is None


def test_alarm_fails_a_version_that_the_test_likes():
    """The hard net holds whatever the statistic thinks."""
    judgement = harm(CLEAN, look(firing=ALARM))

    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == f"alarm {ALARM[0]}"


def test_shared_incident_is_held_and_not_rolled_back():
    """An alarm while the old version fails alike: neither down nor up."""
    known = look(firing=ALARM, incident_for=MINUTE)

    assert harm(INCIDENT, known) is None
    assert end(INCIDENT, known) is None


def test_shared_incident_that_lasts_is_inconclusive():
    """Nobody can judge a release for ever while everything burns."""
    judgement = harm(INCIDENT, look(firing=ALARM, incident_for=timedelta(minutes=5)))

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "a shared incident, both versions fail; it lasted 300 s" in judgement.reason


QUIET = seen(*[Pair(50, 450, 1, 12)] * 3)
"""Three failures of the new version among 150; of the old one 36 among 1,350, which is no alarm."""


def test_alarm_that_the_counts_explain_is_held_where_both_versions_have_traffic():
    """A quiet function's alarm needs three failures; these speak for the new version."""
    assert harm(QUIET, look(firing=ALARM, weight=0.5)) is None
    assert harm(QUIET, look(firing=ALARM, weight=0.6)).verdict is Verdict.FAILED


def test_alarm_without_counted_failures_is_nobody_elses():
    """What only the alarm sees is not explained by failures that were never counted."""
    assert harm(CLEAN, look(firing=ALARM, weight=0.1)).verdict is Verdict.FAILED


def test_alarm_high_on_the_ladder_first_goes_down_to_compare():
    """At 100 % nothing is left to tell whose doing it is."""
    high = look(firing=ALARM, weight=1.0, can_compare=True)

    assert harm(CLEAN, high) is None
    judgement = end(CLEAN, high, next_weight=None)
    assert judgement.compare
    assert judgement.verdict is Verdict.PASSED
    assert judgement.reason == f"alarm {ALARM[0]}: down to where both versions can be compared"


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_alarm_where_the_versions_can_be_compared_already_is_the_verdict(weight):
    """Nobody waits for a comparison that has been made."""
    known = look(firing=ALARM, weight=weight, can_compare=True)

    assert harm(CLEAN, known).verdict is Verdict.FAILED


def test_alarm_is_not_compared_for_a_version_that_is_seen_to_be_worse():
    """Evidence of 10 and a red alarm are enough together."""
    suspected = seen(Pair(10, 90, 2, 0))
    assert 10 <= suspected.strength(TESTED) < 100

    known = look(firing=ALARM, weight=1.0, can_compare=True)
    assert harm(suspected, known).verdict is Verdict.FAILED


def test_alarm_waits_while_the_versions_are_compared_and_no_longer():
    """Red still when the time to compare is over: the verdict."""
    known = {"firing": ALARM, "weight": 0.5}

    assert harm(CLEAN, look(**known, comparing=True)) is None
    assert end(CLEAN, look(**known, comparing=True)) is None
    assert harm(CLEAN, look(**known)).verdict is Verdict.FAILED


def test_shared_incident_high_on_the_ladder_is_held_there():
    """The old version was seen to fail: there is nothing more to compare."""
    known = look(firing=ALARM, weight=1.0, can_compare=True)

    assert harm(INCIDENT, known) is None
    assert end(INCIDENT, known, next_weight=None) is None


def test_rung_goes_on_until_its_time_is_over():
    """However clean it is."""
    assert end(CLEAN, look(elapsed=timedelta(seconds=59))) is None
    assert end(CLEAN, look(elapsed=MINUTE)).verdict is Verdict.PASSED


def test_rung_waits_for_enough_judged_requests():
    """Time alone never lets it climb."""
    assert end(CLEAN, look(judged=19)) is None
    assert end(CLEAN, look(judged=20)).verdict is Verdict.PASSED
    assert end(CLEAN, look(judged=20), next_weight=0.5) is None


def test_top_waits_for_nothing_but_its_time():
    """At 100 % there is no next weight to earn."""
    assert end(CLEAN, look(judged=0), next_weight=None).verdict is Verdict.PASSED


def test_low_traffic_rule_decides_after_the_longest_wait():
    """And stands in the record."""
    quiet = look(judged=3, elapsed=timedelta(minutes=10))

    assert end(CLEAN, quiet).verdict is Verdict.PASSED
    assert end(CLEAN, quiet, low_traffic="roll_back").verdict is Verdict.INCONCLUSIVE
    assert "3 canary requests judged, 20 wanted" in end(CLEAN, quiet).reason


def test_suspicion_ends_the_rung_at_once_one_step_down():
    """Its time need not be over."""
    judgement = end(CLEAN, look(step_back=True, elapsed=timedelta(seconds=5)))

    assert judgement.step_back
    assert judgement.verdict is Verdict.PASSED


def test_blindness_holds_and_then_is_inconclusive():
    """What cannot be measured never passes."""
    shift, known = Shift(), look()

    assert judge_blindness(shift, timedelta(minutes=4), "no answer", known) is None
    judgement = judge_blindness(shift, timedelta(minutes=5), "no answer", known)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "could not measure for 300 s: no answer"

"""When a rung is failed, passed, held, or inconclusive."""

from datetime import timedelta

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

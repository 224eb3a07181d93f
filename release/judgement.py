"""Whether a rung of the ladder is good, bad, or not yet decided: plain rules, pure functions."""

from dataclasses import dataclass
from datetime import timedelta

from release.ladder import COMPARABLE, low_traffic_text, wanted_requests
from release.policy import LowTraffic, Shift, ShiftStep
from release.promotion import Counts, StepJudgement
from release.sequential import CRASHED, FAILED, Metric, Pair, SequentialTest
from release.verdict import Verdict

_WORSE = 10.0
"""Evidence from which on an incident is no excuse: a harmless release meets so much in less than
one of ten incidents, and 3 in one of three."""

_NOT_WORSE, _EXPLAINED = 0.9, 3
"""Evidence below which the counted failures speak for the new version, and how many of them there
have to be: an alarm needs three."""

_ALARMS_SEE = 60
"""Buckets: five minutes. Two minutes that breach, one until they no longer do, and up to two that
CloudWatch takes to see either."""

_NONE = Counts()


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of a rung at one look."""

    elapsed: timedelta
    judged: int  # canary requests since the release began
    canary: Counts  # of this rung
    baseline: Counts
    slow_canary: Counts = _NONE  # as in StepJudgement
    slow_baseline: Counts = _NONE
    step_back: bool = False
    firing: tuple[str, ...] = ()  # alarms that went red after the release began
    weight: float = 1.0
    can_compare: bool = False  # there is a lower rung where the versions can be compared
    comparing: bool = False  # an alarm is the reason for this rung: its time is for comparing
    incident_for: timedelta | None = None  # since when a shared incident holds the weight


def judge_harm(
    shift: Shift, tested: tuple[Metric, ...], test: SequentialTest, look: Looked
) -> StepJudgement | None:
    """A failed judgement if the new version is seen to be worse, else None.

    Alarms are the hard net. But an alarm that is red while both versions fail alike is an incident
    that the release shares and did not make: the weight is held, for `max_blind` at most. And where
    hardly anything of the old version is left, it is first compared: `must_compare`.
    """
    worst = test.worst(tested)
    if worst is not None:
        return _ended(Verdict.FAILED, _worse(worst, test, tested), test, tested, look)
    if not look.firing:
        return None
    names = ", ".join(look.firing)
    if not is_shared_incident(test, tested, look.weight):
        if look.comparing or must_compare(tested, test, look):
            return None
        return _ended(Verdict.FAILED, f"alarm {names}", test, tested, look)
    if look.incident_for is not None and look.incident_for >= shift.max_blind:
        lasted = f"{look.incident_for.total_seconds():.0f} s"
        reason = f"alarm {names}: a shared incident, both versions fail; it lasted {lasted}"
        return _ended(Verdict.INCONCLUSIVE, reason, test, tested, look)
    return None


def is_shared_incident(test: SequentialTest, tested: tuple[Metric, ...], weight: float) -> bool:
    """Whether the old version fails as well, and nothing says that the new one is worse.

    An alarm is red minutes after it happened: what it has seen is looked for as far back. A quiet
    function's alarm goes red for a few failures; there it counts what they say of both versions.
    """
    evidence = test.strength(tested)
    if evidence >= _WORSE:
        return False
    if any(test.had_incident(metric, _ALARMS_SEE) for metric in (FAILED, CRASHED)):
        return True
    counted = test.total(FAILED).canary_events >= _EXPLAINED
    return counted and evidence < _NOT_WORSE and weight <= COMPARABLE


def must_compare(tested: tuple[Metric, ...], test: SequentialTest, look: Looked) -> bool:
    """Whether to give the old version traffic again, to see if it fails as well.

    An alarm at 90 or 100 % says that something fails, and not whose doing it is. Of a version that
    is worse half of the traffic is gone at once; the rest follows when the time to compare is over.
    """
    if not look.firing or not look.can_compare or look.comparing or look.weight <= COMPARABLE:
        return False
    if is_shared_incident(test, tested, look.weight):
        return False
    return test.strength(tested) < _WORSE


def judge_end(
    shift: Shift,
    rung: ShiftStep,
    next_weight: float | None,
    tested: tuple[Metric, ...],
    test: SequentialTest,
    look: Looked,
) -> StepJudgement | None:
    """The end of a rung without harm, or None while it has to go on.

    A red alarm high on the ladder ends it at a rung where the versions can be compared. Otherwise
    it ends when its time is over and enough canary requests were judged for the next weight; after
    `max_wait` the low-traffic rule decides, and says so in the record. Evidence that grows ends it
    at once, one step down. While an alarm is red nothing climbs.
    """
    if must_compare(tested, test, look):
        reason = f"alarm {', '.join(look.firing)}: down to where both versions can be compared"
        return _ended(Verdict.PASSED, reason, test, tested, look, compare=True)
    if look.step_back:
        reason = f"evidence {test.strength(tested):.1f} and growing: one step back"
        return _ended(Verdict.PASSED, reason, test, tested, look, step_back=True)
    if look.elapsed < rung.min_duration or look.firing:
        return None
    wanted = wanted_requests(shift, next_weight) if next_weight is not None else 0
    if look.judged >= wanted:
        return _ended(Verdict.PASSED, _seen(test), test, tested, look)
    if look.elapsed < max(shift.max_wait, rung.min_duration):
        return None
    proceeds = shift.low_traffic is LowTraffic.PROCEED
    rule = low_traffic_text(shift, look.judged, wanted)
    verdict = Verdict.PASSED if proceeds else Verdict.INCONCLUSIVE
    return _ended(verdict, rule, test, tested, look)


def judge_blindness(
    shift: Shift, blind: timedelta, cause: str, look: Looked
) -> StepJudgement | None:
    """Inconclusive once nothing could be measured for `max_blind`; until then the weight holds."""
    if blind < shift.max_blind:
        return None
    return StepJudgement(
        verdict=Verdict.INCONCLUSIVE,
        reason=f"could not measure for {blind.total_seconds():.0f} s: {cause}",
        canary=look.canary,
        baseline=look.baseline,
    )


def _worse(worst: Metric, test: SequentialTest, tested: tuple[Metric, ...]) -> str:
    pair = test.total(worst)
    return (
        f"new {_rate(worst, pair.canary_events, pair.canary_exposed)}, "
        f"old {_rate(worst, pair.baseline_events, pair.baseline_exposed)}; "
        f"evidence {_short(test.strength(tested))}, 100 is enough"
    )


def _seen(test: SequentialTest) -> str:
    pair: Pair = test.total(FAILED)
    return f"{pair.canary_events} of {pair.canary_exposed} requests failed so far"


def _rate(metric: Metric, events: int, exposed: int) -> str:
    percent = f" ({events / exposed:.1%})" if exposed else ""
    return f"{events} of {exposed} {metric.text}{percent}"


def _short(evidence: float) -> str:
    return f"{evidence:.0f}" if evidence < 1e6 else f"{evidence:.0e}"


def _ended(
    verdict: Verdict,
    reason: str,
    test: SequentialTest,
    tested: tuple[Metric, ...],
    look: Looked,
    *,
    step_back: bool = False,
    compare: bool = False,
) -> StepJudgement:
    return StepJudgement(
        verdict=verdict,
        reason=reason,
        canary=look.canary,
        baseline=look.baseline,
        slow_canary=look.slow_canary,
        slow_baseline=look.slow_baseline,
        evidence=round(test.strength(tested), 3),
        step_back=step_back,
        compare=compare,
    )

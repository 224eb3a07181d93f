"""When a step of the ladder is good, bad, or not yet decided: plain rules, pure functions."""

from datetime import timedelta

from release.policy import LowTraffic, Shift
from release.promotion import Counts, StepJudgement
from release.verdict import Verdict


def judge_harm(
    shift: Shift, canary: Counts, baseline: Counts, firing: tuple[str, ...]
) -> StepJudgement | None:
    """A failed judgement if the new version is seen to be worse, else None.

    Bad is: one of `firing` (alarms that went red after the release began), or at least
    `min_failures` failures and an error rate above both `max_error_rate` and the baseline's.
    """
    if firing:
        return _failed(f"alarm {', '.join(firing)}", canary, baseline)
    too_many = canary.failures >= shift.min_failures and canary.error_rate > shift.max_error_rate
    if too_many and canary.error_rate > baseline.error_rate:
        return _failed(
            f"{canary.failures} of {canary.requests} requests failed ({canary.error_rate:.1%}; "
            f"limit {shift.max_error_rate:.1%}; baseline {baseline.error_rate:.1%})",
            canary,
            baseline,
        )
    return None


def judge_end(
    shift: Shift, min_duration: timedelta, elapsed: timedelta, canary: Counts, baseline: Counts
) -> StepJudgement | None:
    """The end of a step without harm, or None while it has to go on.

    A step ends when its time is over and enough canary requests were judged. After `max_wait`
    the low-traffic rule decides, and says so in the record.
    """
    if elapsed < min_duration:
        return None
    seen = f"{canary.failures} of {canary.requests} requests failed"
    if canary.requests >= shift.min_requests:
        return _ended(Verdict.PASSED, seen, canary, baseline)
    if elapsed < max(shift.max_wait, min_duration):
        return None
    rule = f"low traffic: {seen}, {shift.min_requests} wanted; rule: {shift.low_traffic.value}"
    proceeds = shift.low_traffic is LowTraffic.PROCEED
    return _ended(Verdict.PASSED if proceeds else Verdict.INCONCLUSIVE, rule, canary, baseline)


def judge_blindness(shift: Shift, blind: timedelta, cause: str) -> StepJudgement | None:
    """Inconclusive once nothing could be measured for `max_blind`; until then the weight holds."""
    if blind < shift.max_blind:
        return None
    text = f"could not measure for {blind.total_seconds():.0f} s: {cause}"
    return _ended(Verdict.INCONCLUSIVE, text, Counts(), Counts())


def _failed(reason: str, canary: Counts, baseline: Counts) -> StepJudgement:
    return _ended(Verdict.FAILED, reason, canary, baseline)


def _ended(verdict: Verdict, reason: str, canary: Counts, baseline: Counts) -> StepJudgement:
    return StepJudgement(verdict=verdict, reason=reason, canary=canary, baseline=baseline)

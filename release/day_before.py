"""A release held against the day before it: whether it fails more often, or answers more slowly."""

import math

from release.alarms import MAX_LAMBDA_ERROR_PERCENT, MIN_FAILURES
from release.promotion import Counts
from release.text import percent
from release.verdict import Verdict

CHANCE = 1e-6
"""That so many failures come by chance. A hundred looks, each confirmed, stay far below 1 %."""

_MIN_RISE = 0.01  # fraction of requests: a surer but smaller rise takes nobody's service away
_MIN_SLOWER = 1.25  # times the day before's worst hour …
_MIN_SLOWER_MS = 50.0  # … and at least so much more
LEAST_SAMPLES = 50  # requests behind a p90 that is judged

Finding = tuple[Verdict, str]


def judge_errors(now: Counts, before: Counts) -> Finding:
    """Whether the release fails more often than the version before did in its last day.

    The day before is taken one failure worse than it was, so that a quiet day makes nobody strict.
    """
    figures = f"{now.failures} of {now.requests} requests failed ({percent(now.error_rate)})"
    if not now.requests:
        return Verdict.INCONCLUSIVE, "nothing was requested"
    if not before.requests:
        return _without_a_day_before(now, figures)
    figures += f"; the day before {before.failures} of {before.requests}"
    usual = (before.failures + 1) / (before.requests + 1)
    expected = now.requests * usual
    rose = now.error_rate - before.error_rate >= _MIN_RISE
    by_chance = chance_of(now.failures, expected)
    if now.failures >= MIN_FAILURES and rose and by_chance < CHANCE:
        return Verdict.FAILED, f"{figures}; by chance at most {expected:.3g} were to be expected"
    return Verdict.PASSED, figures


def _without_a_day_before(now: Counts, figures: str) -> Finding:
    limit = MAX_LAMBDA_ERROR_PERCENT / 100
    if now.failures >= MIN_FAILURES and now.error_rate > limit:
        return Verdict.FAILED, f"{figures}; allowed {percent(limit)}"
    return Verdict.INCONCLUSIVE, f"{figures}; of the day before nothing was measured"


def judge_latency(
    p90_ms: float, p99_ms: float, worst_p90_ms: float | None, limit_ms: int
) -> Finding:
    """Whether the release answers more slowly than in the worst hour of the day before.

    Judged by p90: a p99 of few requests is the slowest of them. Without a day before the contract's
    limit of the p99 still holds.
    """
    figures = f"p90 {p90_ms:.0f} ms, p99 {p99_ms:.0f} ms"
    if worst_p90_ms is None:
        if p99_ms > limit_ms:
            return Verdict.FAILED, f"{figures}; p99 may be {limit_ms} ms"
        return Verdict.INCONCLUSIVE, f"{figures}; of the day before nothing was measured"
    figures += f"; p90 in the worst hour of the day before {worst_p90_ms:.0f} ms"
    allowed = max(_MIN_SLOWER * worst_p90_ms, worst_p90_ms + _MIN_SLOWER_MS)
    verdict = Verdict.FAILED if p90_ms > allowed else Verdict.PASSED
    return verdict, f"{figures}, allowed {allowed:.0f}"


def chance_of(events: int, expected: float) -> float:
    """That a Poisson count with this mean is as large, or larger."""
    if events <= 0:
        return 1.0
    if events > expected + 10 * math.sqrt(expected) + 50:
        return 0.0  # beyond what the sum below can tell from nothing
    logs = (n * math.log(expected) - expected - math.lgamma(n + 1) for n in range(events))
    return max(0.0, 1.0 - math.fsum(map(math.exp, logs)))

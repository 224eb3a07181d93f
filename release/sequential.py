"""The sequential test: is the new version worse than the old one, asked after every few seconds.

While an alias splits traffic, each failure is under "not worse" a coin flip that lands on the
canary with the probability of the canary's share. The likelihood ratios of these flips are
multiplied (as in the anytime-valid logrank test of ter Schure, Pérez-Ortiz, Ly and Grünwald,
2024), mixed over a grid of how much worse it may be, over metrics, and over when it began.
By Ville's inequality the sum exceeds 1/alpha with a probability of at most alpha for a version that
is not worse, however often one looks, whatever the base rates do: an incident that both versions
share cancels out. Pure floats, no clock; an update costs a few microseconds.

Buckets are five seconds long; a longer one says how many of them it is as long as (`length`).
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

ALPHA = 0.01
"""Probability of rolling back a release that is not worse, over its whole length."""

SUSPICION = 2.5
"""From here on the evidence is worth a step back."""

BUCKET_SECONDS = 5

_FIRST_STAKE = 0.6
_RESTARTS = 40  # every 15 s: enough for the longest of the ladders, ten minutes
_RESTART_EVERY = 3  # buckets
_FEW = 5  # below this many requests of a version the configured weight is the better share
_RECENT = 12  # buckets: a minute of five-second ones
_GROWTH, _GROWN_WITHIN = 1.2, 6  # buckets: half a minute
_MOST_SUSPICION = 24  # buckets: two minutes of stepping back, or releases would get stuck
_LARGEST, _STEEPEST = 1e100, 400.0
_INCIDENT_RATE, _INCIDENT_FAILURES = 0.05, 3  # the flow's alarm, read on the old version


class Metric(NamedTuple):
    """One way of being worse. Where its numbers come from: `docs/shift.md`."""

    name: str
    share: float  # of alpha
    null_ratio: float  # a rate so many times the old version's is not worse yet
    grid: tuple[tuple[float, float], ...]  # (times worse, prior)
    min_excess: float  # fraction of requests: less than this is not worth a rollback
    text: str  # "{events} of {exposed} …"


_FAILING = ((1.3, 0.10), (2.0, 0.10), (5.0, 0.20), (20.0, 0.25), (200.0, 0.35))

FAILED = Metric("failed", 0.76, 1.0, _FAILING, 0.001, "requests failed")
CRASHED = Metric("crashed", 0.04, 1.0, _FAILING, 0.001, "invocations crashed or were throttled")
SLOW = Metric(
    "slow", 0.12, 1.25, ((1.7, 0.40), (3.0, 0.30), (8.0, 0.30)), 0.05, "slower than the old p90"
)
VERY_SLOW = Metric(
    "very slow", 0.08, 2.0, ((4.0, 0.3), (10.0, 0.3), (40.0, 0.4)), 0.05, "slower than the old p99"
)


def metrics(routes: tuple[str, ...] = ()) -> tuple[Metric, ...]:
    """What is tested; a part of the failures' share goes to the routes, where they are known.

    A route with a fiftieth of the traffic is found with a third of the failed requests that way.
    """
    if not routes:
        return (FAILED, CRASHED, SLOW, VERY_SLOW)
    by_route = 0.10
    each = [
        FAILED._replace(
            name=route_metric(r), share=by_route / len(routes), text=f"requests of {r} failed"
        )
        for r in routes
    ]
    return (FAILED._replace(share=FAILED.share - by_route), *each, CRASHED, SLOW, VERY_SLOW)


def route_metric(route: str) -> str:
    """The name of a route's own metric."""
    return f"failed {route}"


class Pair(NamedTuple):
    """One metric in one bucket, or in many: both versions' requests, and those that count."""

    canary_exposed: int
    baseline_exposed: int
    canary_events: int
    baseline_events: int

    def plus(self, other: "Pair") -> "Pair":
        """Both together."""
        a, b, c, d = self
        e, f, g, h = other
        return Pair(a + e, b + f, c + g, d + h)

    @property
    def excess(self) -> float:
        """Share of the canary's requests beyond the baseline's share; 0 where nothing is known."""
        if not self.canary_exposed:
            return 0.0
        old = self.baseline_events / self.baseline_exposed if self.baseline_exposed else 0.0
        return self.canary_events / self.canary_exposed - old


_NOTHING = Pair(0, 0, 0, 0)


@dataclass(slots=True)
class Wealth:
    """What betting against "not worse" has made of its stake, for one metric."""

    points: list[float]  # per grid point
    reserve: float = 1.0
    buckets: int = 0
    restarts: int = 0
    total: Pair = _NOTHING
    recent: list[Pair] = field(default_factory=list)
    incident_ago: int | None = None  # buckets since the old version failed as the alarms forbid

    @property
    def sum(self) -> float:
        """1 at the start; its mean stays at most 1 for a version that is not worse."""
        return min(sum(self.points) + self.reserve, _LARGEST)


@dataclass(slots=True)
class SequentialTest:
    """The state of the test; serializable, so that it travels from rung to rung."""

    wealth: dict[str, Wealth] = field(default_factory=dict)
    strengths: list[float] = field(default_factory=list)
    suspicions: int = 0

    def add(self, metric: Metric, weight: float, pair: Pair, length: int = 1) -> None:
        """One closed bucket of one metric; `weight` is the one that was configured during it."""
        wealth = self.wealth.get(metric.name)
        if wealth is None:
            wealth = self.wealth[metric.name] = Wealth([0.0] * len(metric.grid))
        _stake(wealth, metric)
        if pair.canary_events or pair.baseline_events:
            share = _share(weight, pair, length)
            if 0 < share < 1:
                for number, (ratio, _) in enumerate(metric.grid):
                    factor = _likelihood_ratio(ratio, metric.null_ratio, share, pair)
                    wealth.points[number] = min(wealth.points[number] * factor, _LARGEST)
        wealth.buckets += length
        wealth.total = wealth.total.plus(pair)
        wealth.recent.append(pair)
        del wealth.recent[: -max(1, _RECENT // length)]
        if pair.baseline_events and _is_incident(wealth.recent):
            wealth.incident_ago = 0
        elif wealth.incident_ago is not None:
            wealth.incident_ago += length

    def strength(self, tested: tuple[Metric, ...]) -> float:
        """E, the evidence that the canary is worse; 1 says nothing, 1/alpha is enough."""
        strength = 0.0
        for metric in tested:
            wealth = self.wealth.get(metric.name)
            strength += metric.share * (wealth.sum if wealth else 1.0)
        return strength

    def worst(self, tested: tuple[Metric, ...], alpha: float = ALPHA) -> Metric | None:
        """The metric for which the canary is to be rolled back, or None.

        Enough evidence for a harm too small to matter is no reason.
        """
        if self.strength(tested) < 1 / alpha:
            return None
        worst = max(tested, key=lambda metric: metric.share * self._sum(metric))
        wealth = self.wealth[worst.name]
        recently = _NOTHING
        for pair in wealth.recent:
            recently = recently.plus(pair)
        excess = max(wealth.total.excess, recently.excess)
        return worst if excess >= worst.min_excess else None

    def tick(self, tested: tuple[Metric, ...], length: int = 1) -> bool:
        """Called once a bucket: whether to step back.

        Only while the evidence grows and only for so long in all: a spotless baseline never lowers
        the evidence after one chance failure.
        """
        now = self.strength(tested)
        before = self.strengths[0] if self.strengths else 1.0
        self.strengths = [*self.strengths, now][-max(1, _GROWN_WITHIN // length) :]
        suspicious = (
            now >= SUSPICION and now >= _GROWTH * before and self.suspicions < _MOST_SUSPICION
        )
        self.suspicions += suspicious * length
        return suspicious

    def had_incident(self, metric: Metric, within: int) -> bool:
        """Whether the old version failed by itself in the last so many buckets."""
        wealth = self.wealth.get(metric.name)
        ago = wealth.incident_ago if wealth else None
        return ago is not None and ago <= within

    def total(self, metric: Metric) -> Pair:
        """All that was counted of a metric."""
        wealth = self.wealth.get(metric.name)
        return wealth.total if wealth else _NOTHING

    def _sum(self, metric: Metric) -> float:
        wealth = self.wealth.get(metric.name)
        return wealth.sum if wealth else 1.0


def _is_incident(pairs: list[Pair]) -> bool:
    events = sum(pair.baseline_events for pair in pairs)
    exposed = sum(pair.baseline_exposed for pair in pairs)
    return events >= _INCIDENT_FAILURES and events > _INCIDENT_RATE * exposed


def _stake(wealth: Wealth, metric: Metric) -> None:
    due = wealth.buckets // _RESTART_EVERY - wealth.restarts
    if wealth.buckets == 0:
        stake = _FIRST_STAKE
    elif due:
        stake = due * (1 - _FIRST_STAKE) / _RESTARTS
        wealth.restarts += due
    else:
        return
    stake = min(stake, wealth.reserve)
    wealth.reserve -= stake
    for number, (_, prior) in enumerate(metric.grid):
        wealth.points[number] += stake * prior


def _share(weight: float, pair: Pair, length: int) -> float:
    # looks at the requests only, never at the failures: that keeps the mean at 1
    canary, baseline = pair.canary_exposed, pair.baseline_exposed
    if canary < _FEW or baseline < _FEW:
        return weight
    share = canary / (canary + baseline)
    # within a long bucket the weight may have grown while the failures did: its mean share would
    # blame the canary for them (2 to 4 % false rollbacks), the larger one never does
    return max(weight, share) if length > 1 else share


def _likelihood_ratio(ratio: float, null_ratio: float, share: float, pair: Pair) -> float:
    worse = ratio * share + 1 - share
    same = null_ratio * share + 1 - share
    events = pair.canary_events + pair.baseline_events
    exponent = pair.canary_events * math.log(ratio / null_ratio) + events * math.log(same / worse)
    return math.exp(max(-_STEEPEST, min(_STEEPEST, exponent)))

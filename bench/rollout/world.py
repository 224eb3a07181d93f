"""What happens to a service while a release shifts: requests, failures, slow answers, in ticks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

TICK = 5.0  # seconds
HORIZON = 1800.0  # a bad release that nobody rolls back is charged until here
ROLLBACK_SECONDS = 3.0  # from a decision, anybody's, to the old version serving all
ROUTES = ("/prices", "/prices/{symbol}", "/health")
_SIGMA = 0.5  # of the latency's logarithm
_SLOW = tuple(NormalDist().inv_cdf(p) for p in (0.90, 0.99))
_FAST = NormalDist()

Rate = Callable[[float], float]


@dataclass(frozen=True)
class Scenario:
    """One kind of release; probabilities are of a request, at a second after the first weight."""

    name: str
    own: Rate = lambda t: 0.0  # failures that only the new version has
    shared: Rate = lambda t: 0.0  # failures that both have
    slower: float = 1.0  # times
    route: float = 0.0  # share of the traffic that fails on the new version, whole
    harmless: bool = False


@dataclass(frozen=True)
class Tick:
    """Five seconds, as counted per version: (canary, baseline)."""

    start: float
    weight: float
    requests: tuple[int, int]
    failed: tuple[int, int]
    slow: tuple[int, int]
    very_slow: tuple[int, int]
    routes: tuple[tuple[int, int, int, int], ...] = ()  # requests and failures of each route


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("total failure", own=lambda t: 1.0),
        Scenario("+50 points", own=lambda t: 0.5),
        Scenario("+5 points", own=lambda t: 0.05),
        Scenario("+1 point", own=lambda t: 0.01),
        Scenario("one route, 10 %", route=0.10),
        Scenario("one route, 2 %", route=0.02),
        Scenario("leak 2 points/min", own=lambda t: min(1.0, 0.02 * t / 60)),
        Scenario("late +20 points", own=lambda t: 0.2 if t >= 240 else 0.0),
        Scenario("latency x 2", slower=2.0),
        Scenario("latency x 10", slower=10.0),
        Scenario("A/A", harmless=True),
        Scenario(
            "A/A shared incident",
            shared=lambda t: 0.3 if 120 <= t < 240 else 0.0,
            harmless=True,
        ),
        Scenario(
            "A/A flicker",
            shared=lambda t: 0.04 * (1 + math.sin(t / 37)) * (1 + math.sin(t / 11)) / 2,
            harmless=True,
        ),
        Scenario("A/A latency +3 %", slower=1.03, harmless=True),
    )
}


def draw(
    dice: np.random.Generator,
    scenario: Scenario,
    rate: float,
    errors: float,
    at: float,
    weight: float,
) -> tuple[Tick, float]:
    """What is counted in a tick, and the failures in it that the release caused (expected)."""
    requests = int(dice.poisson(rate * TICK))
    canary = int(dice.binomial(requests, weight)) if weight < 1 else requests
    baseline = requests - canary
    old = min(1.0, errors + scenario.shared(at))
    extra = scenario.own(at)
    new = old + (1 - old) * extra
    dead = int(dice.binomial(canary, scenario.route)) if scenario.route else 0
    alive = int(dice.binomial(canary - dead, new))
    failed = (dead + alive, int(dice.binomial(baseline, old)))
    slow_c, very_c = _slow(dice, canary, scenario.slower)
    slow_b, very_b = _slow(dice, baseline, 1.0)
    tick = Tick(
        at,
        weight,
        (canary, baseline),
        failed,
        (slow_c, slow_b),
        (very_c, very_b),
        _routes(dice, scenario, (canary, baseline), failed, dead),
    )
    share = scenario.route * (1 - old) + (1 - scenario.route) * (1 - old) * extra
    return tick, canary * share


def _slow(dice: np.random.Generator, requests: int, times: float) -> tuple[int, int]:
    moved = math.log(times) / _SIGMA
    p90, p99 = (1 - _FAST.cdf(z - moved) for z in _SLOW)
    slow = int(dice.binomial(requests, p90))
    return slow, int(dice.binomial(slow, p99 / p90))


def _routes(
    dice: np.random.Generator,
    scenario: Scenario,
    requests: tuple[int, int],
    failed: tuple[int, int],
    dead: int,
) -> tuple[tuple[int, int, int, int], ...]:
    """The last route is the one that may be dead; what else fails is spread by traffic."""
    last = scenario.route or 0.1
    shares = ((1 - last) / 2, (1 - last) / 2, last)
    if scenario.route:
        canary = [*_spread(dice, requests[0] - dead, shares[:2]), dead]
        failures = [*_spread(dice, failed[0] - dead, shares[:2]), dead]
    else:
        canary, failures = _spread(dice, requests[0], shares), _spread(dice, failed[0], shares)
    baseline, old = _spread(dice, requests[1], shares), _spread(dice, failed[1], shares)
    return tuple(
        (c, b, min(c, fc), min(b, fb))
        for c, b, fc, fb in zip(canary, baseline, failures, old, strict=True)
    )


def _spread(dice: np.random.Generator, count: int, shares: tuple[float, ...]) -> list[int]:
    total = sum(shares)
    return [int(n) for n in dice.multinomial(count, [share / total for share in shares])]

"""`make bench-rollout`: how many requests fail before each policy puts the old version back."""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from statistics import mean, median

import numpy as np

from bench.rollout.picture import draw_picture
from bench.rollout.policies import POLICIES
from bench.rollout.show import show
from bench.rollout.world import HORIZON, ROLLBACK_SECONDS, SCENARIOS, TICK, draw

RATES = (0.2, 1.0, 10.0, 100.0, 1000.0)
QUICK_RATES = (1.0, 100.0)
BASE_ERRORS = 0.001
ERRORS = (0.001, 0.005, 0.01, 0.02)
MAIN = {1.0: 0.01, 100.0: 0.001}  # rate and errors of the cells of most runs, 2,000 in all
MANY_RUNS, HARMLESS_RUNS, BAD_RUNS = 1000, 200, 100
Order = tuple[str, str, float, float, int]


@dataclass(frozen=True)
class Cell:
    """One policy in one scenario at one rate, over many runs."""

    policy: str
    scenario: str
    rate: float
    errors: float
    runs: int
    failed: float  # mean, caused by the release, until the old version serves again
    slow_seconds: float  # mean, added by the release, in request-seconds
    delay: float | None  # median seconds until the decision
    back: float  # share of the runs that were rolled back
    length: float | None  # mean seconds to 100 % of those that were not


def measure(policy: str, scenario: str, rate: float, errors: float, runs: int) -> Cell:
    """The cell; its seed is its place, so that a run can be repeated."""
    place = [list(POLICIES).index(policy), list(SCENARIOS).index(scenario)]
    dice = np.random.default_rng([*place, round(rate * 10), round(errors * 1e4)])
    found = [_run(policy, scenario, rate, errors, dice) for _ in range(runs)]
    delays = [delay for _, _, delay, _ in found if delay is not None]
    lengths = [full for _, _, delay, full in found if delay is None and full is not None]
    return Cell(
        policy=policy,
        scenario=scenario,
        rate=rate,
        errors=errors,
        runs=runs,
        failed=mean(failed for failed, _, _, _ in found),
        slow_seconds=mean(slow for _, slow, _, _ in found),
        delay=median(delays) if delays else None,
        back=len(delays) / runs,
        length=mean(lengths) if lengths else None,
    )


def _run(
    policy: str, name: str, rate: float, errors: float, dice: np.random.Generator
) -> tuple[float, float, float | None, float | None]:
    scenario = SCENARIOS[name]
    release = POLICIES[policy](dice, rate)
    at = failed = slow = 0.0
    added = 0.12 * math.exp(0.125) * (scenario.slower - 1)  # seconds a request, of a 120 ms median
    while not release.done:
        weight = release.weight
        tick, harm = draw(dice, scenario, rate, errors, at, weight)
        failed += harm
        slow += tick.requests[0] * added
        at += TICK
        release.tick(tick)
        if release.rolled_back:
            share = harm / max(1, tick.requests[0])
            left = rate * ROLLBACK_SECONDS * weight
            return failed + left * share, slow + left * added, at, release.full_at
        if not scenario.harmless and at >= HORIZON:
            break
    if not scenario.harmless:  # nobody noticed: charged until the horizon
        rest = np.arange(at, HORIZON, TICK)
        lost = sum(max(scenario.own(t), scenario.route) for t in rest) * rate * TICK
        failed, slow = failed + lost, slow + len(rest) * rate * TICK * added
    return failed, slow, None, release.full_at


def orders(*, quick: bool) -> Iterator[Order]:
    """Every cell to measure."""
    for scenario in SCENARIOS.values():
        for rate in QUICK_RATES if quick else RATES:
            for errors in ERRORS if scenario.name == "A/A" and rate in MAIN else (BASE_ERRORS,):
                runs = BAD_RUNS
                if scenario.harmless:
                    main_cell = scenario.name == "A/A" and MAIN.get(rate) == errors
                    runs = MANY_RUNS if main_cell else HARMLESS_RUNS
                    if scenario.name != "A/A" and rate not in MAIN:
                        continue
                for policy in POLICIES:
                    yield (
                        policy,
                        scenario.name,
                        rate,
                        errors,
                        max(20, runs // 10) if quick else runs,
                    )


def main() -> int:
    """Measures, prints, draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rates and few runs")
    parser.add_argument("--json", action="store_true", help="print every cell as JSON")
    parser.add_argument("--picture", default="docs/images/rollout.png", help="where to draw it")
    arguments = parser.parse_args()
    begun = time.monotonic()
    wanted = list(orders(quick=arguments.quick))
    cells = []
    with ProcessPoolExecutor() as pool:
        for number, cell in enumerate(pool.map(_measure, wanted, chunksize=1), 1):
            cells.append(cell)
            if sys.stderr.isatty():
                print(f"\r{number} of {len(wanted)} cells", end="", file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps([asdict(cell) for cell in cells]))
    else:
        show(cells)
        print(
            f"\n{sum(cell.runs for cell in cells):,} releases in {time.monotonic() - begun:.0f} s"
        )
    draw_picture(cells, arguments.picture)
    return 0


def _measure(order: Order) -> Cell:
    return measure(*order)


if __name__ == "__main__":
    sys.exit(main())

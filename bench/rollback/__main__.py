"""`make bench-rollback`: seconds from a red alarm to all traffic on the baseline, by real drills.

A laptop cloud of its own, the real Temporal server, and the activities that releases use;
the drill raises the alarm and reads the alias until it serves the baseline alone.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from statistics import quantiles

from cli import drills, laptop
from infra.local.laptop import stop as stop_laptop
from infra.local.settings import PROJECT_ROOT, LaptopSettings, Ports

TARGETS = {"p50": 5.0, "p99": 15.0}


def main() -> int:
    """0 if every drill was measured and both targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--clock", type=float, default=12, help="1 is the pace of production")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = LaptopSettings(
            state_dir=Path(folder),
            repository=PROJECT_ROOT,
            release_branch="HEAD",
            clock_factor=arguments.clock,
            ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
        )
        laptop.up(wanted, attached=True, first="HEAD")
        try:
            seconds, failures = asyncio.run(_drill(arguments.runs, arguments.clock))
        finally:
            stop_laptop(wanted.state_dir, progress=lambda line: print(line, file=sys.stderr))
    cuts = quantiles(seconds, n=100, method="inclusive")
    found = {"p50": cuts[49], "p99": cuts[98]}
    if arguments.json:
        print(json.dumps({"seconds": seconds, "failures": failures, **found}))
    else:
        print(f"{len(seconds)} drills measured, {len(failures)} not: {failures[:3]}")
        for name, value in found.items():
            met = "met" if value <= TARGETS[name] else "MISSED"
            print(f"{name} {value:5.2f} s   target {TARGETS[name]:g} s: {met}")
        print(f"min {min(seconds):.2f} s, max {max(seconds):.2f} s")
    return int(bool(failures) or any(found[name] > TARGETS[name] for name in TARGETS))


async def _drill(runs: int, clock: float) -> tuple[list[float], list[str]]:
    request, _ = drills.prepare("staging", "bench", clock)
    seconds: list[float] = []
    failures: list[str] = []
    for number in range(1, runs + 1):
        result = await drills.run(request, quiet=True)
        if result.seconds is None:
            failures.append(result.reason)
        else:
            seconds.append(result.seconds)
        if sys.stderr.isatty():
            print(f"\r{number} of {runs}", end="", file=sys.stderr, flush=True)
    return seconds, failures


if __name__ == "__main__":
    sys.exit(main())

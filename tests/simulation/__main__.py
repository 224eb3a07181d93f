"""`make test-interleavings ARGS="--runs 10000"`: a table of promises, a story of each failure."""

import argparse
import multiprocessing
import sys
import time
import warnings

from tests.simulation.cloud import Trouble
from tests.simulation.interleaving import run
from tests.simulation.mutations import MUTATIONS
from tests.simulation.plan import *  # noqa: F403  a plan that was printed is read as Python
from tests.simulation.plan import Plan
from tests.simulation.promises import PROMISES, broken
from tests.simulation.search import Found, search, shortened, story

_MOST_RUNS_TO_FIND = 1500
_PART = 125


def main() -> int:
    """0 if no promise was broken."""
    options = _options()
    warnings.simplefilter("ignore")
    if options.plan:
        return _show(eval(options.plan))
    if options.mutations:
        return _mutations(options.seed)
    return _interleavings(options.runs, options.seed, options.processes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-interleavings", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="which plans are made up")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plan", help="one plan as it was printed: tell its story")
    parser.add_argument("--mutations", action="store_true", help="break the product on purpose")
    return parser.parse_args()


def _interleavings(runs: int, seed: int, processes: int) -> int:
    began = time.perf_counter()
    parts = [(min(_PART, runs - done), seed * 1_000_000 + done) for done in range(0, runs, _PART)]
    whole = Found()
    # a process for each part: what a run leaves suspended is kept, some 300 kB of it
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        for part in pool.imap_unordered(_search, parts):
            _add(whole, part)
            seconds = time.perf_counter() - began
            progress = f"{whole.runs} runs in {seconds:.0f} s, violations: {_so_far(whole)}"
            print(progress, file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    _table(whole, seconds)
    for name, plans in sorted(whole.breaks.items()):
        _explain(name, min(plans, key=lambda plan: len(plan.happenings)))
    return 1 if whole.breaks else 0


def _so_far(found: Found) -> str:
    return ", ".join(f"{name} {len(plans)}" for name, plans in found.breaks.items()) or "none"


def _search(part: tuple[int, int]) -> Found:
    warnings.simplefilter("ignore")
    return search(*part)


def _add(whole: Found, part: Found) -> None:
    whole.runs += part.runs
    whole.stories |= part.stories
    whole.ends += part.ends
    for name, plans in part.breaks.items():
        whole.breaks.setdefault(name, []).extend(plans)


def _table(found: Found, seconds: float) -> None:
    rate = found.runs / seconds
    print(
        f"{found.runs} runs, {len(found.stories)} different stories, {seconds:.0f} s, {rate:.1f}/s"
    )
    print("ended:", ", ".join(f"{end} {count}" for end, count in found.ends.most_common()))
    print()
    print(f"{'promise':32}{'runs':>8}{'violations':>12}")
    for promise in PROMISES:
        name = promise.__name__
        print(f"{name:32}{found.runs:8}{len(found.breaks.get(name, ())):12}")


def _explain(name: str, plan: Plan) -> None:
    short = shortened(plan, name)
    print(f"\n{name} is broken. The shortest plan that was found:\n\n{short!r}\n")
    _show(short)
    print("\nAgain: make test-interleavings ARGS=\"--plan '<the plan>'\"; keep it in kept.py")


def _show(plan: Plan) -> int:
    one = run(plan)
    print(story(one))
    found = broken(one)
    print("\n".join(found) or "every promise was kept")
    return 1 if found else 0


def _mutations(seed: int) -> int:
    missed = 0
    print(f"{'the product, broken on purpose':62}{'runs':>6}  found by")
    for name, mutation in MUTATIONS.items():
        with mutation():
            found = search(_MOST_RUNS_TO_FIND, seed, is_enough=lambda one: bool(one.breaks))
        missed += not found.breaks
        print(f"{name:62}{found.runs:6}  {', '.join(found.breaks) or 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


_READ_BY_EVAL = (Trouble,)

if __name__ == "__main__":
    sys.exit(main())

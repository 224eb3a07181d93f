"""`make bench-price-api`: this project's price handler beside others, on the same work.

Exit codes: 0 measured (whether the targets are met or not) · 1 it could not be measured · 2 bad
arguments · 130 interrupted.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from bench.price_api.builds import ROOT, SOURCES, Variant, build
from bench.price_api.certificates import make_certificates
from bench.price_api.child import Runtime
from bench.price_api.errors import BenchError
from bench.price_api.figures import Figures, Sample, sample
from bench.price_api.same_work import check_same_work
from bench.price_api.show import text
from bench.price_api.stand_in import StandIn, running_stand_in
from bench.price_api.work import first, price_items, warm

ENVIRONMENTS = ROOT / ".venv" / "envs"
RUNTIME = ENVIRONMENTS / "lambda-runtime" / "bin" / "python"
MINISTACK = ENVIRONMENTS / "ministack" / "bin" / "python"

BUSY = 1.0  # processes that want to run, over the last minute


def main(argv: list[str]) -> int:
    """The exit code; the report is on stdout, progress on stderr."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-price-api-") as name:
            if (load_before := os.getloadavg()[0]) > BUSY:
                _progress("this machine is busy: expect figures that scatter")
            figures = measure(Path(name), arguments.rounds, arguments.requests)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    about = {
        "rounds": arguments.rounds,
        "warm_requests": arguments.requests,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
    }
    if arguments.json:
        print(json.dumps({"about": about, **figures.as_json()}, indent=2))
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
        print(f"\n{text(figures)}")
    return 0


def measure(folder: Path, rounds: int, requests: int) -> Figures:
    """The figures of all rounds.

    Raises:
        BenchError: a variant does not build, fails, or does other work than the rest.
    """
    variants = []
    for name in SOURCES:
        _progress(f"building {name}")
        variants.append(build(name, folder, RUNTIME))
    [roots] = (ENVIRONMENTS / "lambda-runtime").glob(
        "lib/python*/site-packages/botocore/cacert.pem"
    )
    certificates = make_certificates(folder, roots)
    with running_stand_in(MINISTACK, folder, certificates) as stand_in:
        runtime = Runtime(RUNTIME, folder, stand_in)
        _progress("checking that all variants do the same work")
        check_same_work(variants, runtime, stand_in, folder)
        return _rounds(variants, runtime, stand_in, rounds, requests)


def _rounds(
    variants: list[Variant], runtime: Runtime, stand_in: StandIn, rounds: int, requests: int
) -> Figures:
    figures = Figures([variant.name for variant in variants])
    began = time.monotonic()
    for number in range(rounds):
        turn = number % len(variants)  # nobody is always first, or always after the same one
        for variant in variants[turn:] + variants[:turn]:
            measured = _measure_one(variant, runtime, stand_in, requests)
            figures.samples[variant.name].append(measured)
        gone = time.monotonic() - began
        left = gone / (number + 1) * (rounds - number - 1)
        cold = ", ".join(f"{name} {s[-1]['cold_ms']:.0f}" for name, s in figures.samples.items())
        _progress(f"round {number + 1} of {rounds}, {left:.0f} s left; cold ms: {cold}")
    return figures


def _measure_one(variant: Variant, runtime: Runtime, stand_in: StandIn, requests: int) -> Sample:
    stand_in.prepare(price_items())
    compiled = runtime.run(variant.compiled, [first()], warm(), requests)
    stand_in.prepare(price_items())
    bare = runtime.run(variant.bare, [first()])
    statuses = {compiled.answers[0]["statusCode"], bare.answers[0]["statusCode"]}
    if statuses | set(compiled.warm_statuses) != {200}:
        raise BenchError(f"{variant.name}: not every answer was a 200 while it was timed")
    return sample(compiled, bare, variant.zip_bytes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-price-api", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=15, help="processes per variant")
    parser.add_argument("--requests", type=_positive, default=300, help="warm requests a round")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _terminated(*_: Any) -> NoReturn:
    sys.exit(143)  # by way of every `finally`: the stand-in ends with us


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

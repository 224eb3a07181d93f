"""`make soak-price-api`: the price API under load while a share of its DynamoDB's calls fails.

Exit codes: 0 no 5xx and no request without an answer · 1 there was one · 2 bad arguments · 130
interrupted.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from bench.soak_price_api.show import facts, text
from bench.soak_price_api.soak import Plan, soak


def main(argv: list[str]) -> int:
    """The exit code; the report is on stdout, progress on stderr."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)
    plan = Plan(
        seconds=arguments.seconds,
        rate=arguments.rate,
        share_of_limit=arguments.share,
        failing=arguments.failing,
        seed=arguments.seed,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="soak-price-api-") as name:
            soaked = soak(plan, Path(name), _progress)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if arguments.json:
        print(json.dumps(facts(soaked) | {"problems": soaked.problems}, indent=2))
    else:
        print(text(soaked))
    return 1 if soaked.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak-price-api", description=__doc__)
    parser.add_argument("--seconds", type=_positive, default=60.0, help="600 for the true soak")
    parser.add_argument("--rate", type=_positive, help="requests a second (default: --share)")
    parser.add_argument(
        "--share", type=_share, default=0.7, help="of what the machine does without faults"
    )
    parser.add_argument("--failing", type=_share, default=0.2, help="of DynamoDB's calls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < 100_000:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _share(value: str) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return number


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _terminated(*_: Any) -> NoReturn:
    sys.exit(143)  # by way of every `finally`: what was started ends with us


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

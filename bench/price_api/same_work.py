"""That every variant does the same work: checked before anything is timed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from bench.price_api.builds import FLOOR, OURS, Variant
from bench.price_api.child import Runtime
from bench.price_api.errors import BenchError
from bench.price_api.stand_in import StandIn
from bench.price_api.work import Case, cases, price_items

METRICS = ("Requests", "ServerErrors", "ClientErrors")


class Seen(NamedTuple):
    """What can be seen of a variant's work on all cases."""

    answers: list[dict[str, Any]]  # the status, and the data or the error's code
    counted: int  # requests of the key, as the table has it
    logged: list[Any]  # method, route and status of each line
    metrics: list[Any]  # the counts of each embedded metric object


def check_same_work(
    variants: list[Variant], runtime: Runtime, stand_in: StandIn, folder: Path
) -> None:
    """All variants but the floor did the same.

    Raises:
        BenchError: one did not; the text names the variant and the first difference.
    """
    todo, prices = cases(), price_items()
    expected: Seen | None = None
    for variant in sorted(variants, key=lambda variant: variant.name != OURS):
        if variant.name == FLOOR:
            continue
        stand_in.prepare(prices)
        seen = _seen(variant, todo, runtime, stand_in, folder / "log")
        expected = expected or seen
        _compare(variant.name, todo, seen, expected)


def _compare(name: str, todo: list[Case], seen: Seen, expected: Seen) -> None:
    for case, answer, ours in zip(todo, seen.answers, expected.answers, strict=True):
        if answer["status"] != case.status:
            raise BenchError(f"{name}: {case.name} gives {answer['status']}, not {case.status}")
        if answer != ours:
            raise BenchError(f"{name}: {case.name} gives\n{answer}\nand not, as ours,\n{ours}")
    for what in ("counted", "logged", "metrics"):
        theirs, wanted = getattr(seen, what), getattr(expected, what)
        if theirs != wanted:
            raise BenchError(f"{name}: {what}\n{theirs}\nand not, as ours,\n{wanted}")


def _seen(
    variant: Variant, todo: list[Case], runtime: Runtime, stand_in: StandIn, log: Path
) -> Seen:
    result = runtime.run(variant.compiled, [case.event for case in todo], log=log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return Seen(
        [_essence(answer) for answer in result.answers],
        stand_in.counted(),
        [[line["method"], line["route"], line["status"]] for line in lines if "route" in line],
        [[_number(line[name]) for name in METRICS] for line in lines if "_aws" in line],
    )


def _essence(answer: dict[str, Any]) -> dict[str, Any]:
    """The status with the prices or the error's code: texts and times may differ."""
    body = json.loads(answer["body"])
    return {"status": answer["statusCode"], **{k: body[k] for k in ("data", "code") if k in body}}


def _number(value: Any) -> float:
    # powertools writes a metric as a list of its values
    return float(value[0] if isinstance(value, list) else value)

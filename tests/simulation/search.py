"""Looks for plans that break a promise, and makes them short."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.simulation.clockwork import START
from tests.simulation.interleaving import Run, run
from tests.simulation.plan import Plan
from tests.simulation.promises import broken
from tests.simulation.strategies import plan_strategy


@dataclass
class Found:
    """What a search has seen."""

    runs: int = 0
    stories: set[int] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)
    breaks: dict[str, list[Plan]] = field(default_factory=dict)


class _Enough(BaseException):
    """Nothing more is looked for."""


def search(
    runs: int, number: int, *, is_enough: Callable[[Found], bool] = lambda _: False
) -> Found:
    """What so many plans lead to; the number says which plans."""
    found = Found()

    @seed(number)
    @settings(
        max_examples=runs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plan_strategy)
    def look(plan: Plan) -> None:
        one = run(plan)
        found.runs += 1
        found.stories.add(hash(tuple(one.clock.story)))
        found.ends[end_of(one)] += 1
        for name in {text.partition(":")[0] for text in broken(one)}:
            found.breaks.setdefault(name, []).append(plan)
        if is_enough(found):
            raise _Enough

    with contextlib.suppress(_Enough):
        look()
    return found


def shortened(plan: Plan, name: str) -> Plan:
    """The plan with nothing in it that the promise does not need to be broken."""

    def breaks(other: Plan) -> bool:
        return any(text.startswith(f"{name}:") for text in broken(run(other)))

    changed = True
    while changed:
        changed = False
        for other in _shorter(plan):
            if breaks(other):
                plan, changed = other, True
                break
    return plan


def _shorter(plan: Plan) -> Iterator[Plan]:
    for index in range(len(plan.happenings)):
        rest = plan.happenings[:index] + plan.happenings[index + 1 :]
        yield replace(plan, happenings=rest)
    default = Plan()
    for one in fields(Plan):
        usual = getattr(default, one.name)
        if one.name not in ("happenings", "seed") and getattr(plan, one.name) != usual:
            yield replace(plan, **{one.name: usual})


def end_of(one: Run) -> str:
    """How the promotion ended, in a word."""
    if one.promotion.closed == "terminated":
        return "terminated"
    outcome = one.status.outcome if one.status else None
    return outcome.value if outcome else "not at all"


def story(one: Run) -> str:
    """What happened, with its virtual times in seconds."""
    return "\n".join(f"{at - START:9.1f}  {line}" for at, line in one.clock.story)

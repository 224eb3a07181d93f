"""When to kill the worker: after the events of the history, or around its calls to AWS."""

from collections.abc import Callable

from tests.faults.aws_calls import Call
from tests.faults.aws_proxy import Fate, Moment, Rules
from tests.faults.lane import Lane
from tests.faults.promotion import Run, Scenario


class AfterEvents:
    """Kills after every `every`-th boundary of the history; `every` runs with another `first` each
    meet all of them.
    """

    def __init__(self, scenario: Scenario, first: int, every: int) -> None:
        self._begins, self._first, self._every = scenario.begins, first, every
        self._seen: int | None = None if scenario.begins else 0

    def __call__(self, run: Run, label: str) -> None:
        if self._seen is None:
            if label != self._begins:
                return
            self._seen = 0
        if self._seen % self._every == self._first:
            run.killed_at.append(label)
            run.lane.replace_worker()
        self._seen += 1


class AroundCalls(Rules):
    """Kills at one moment of every `every`-th call that was not made before in this run.

    A call made again after a kill is the same call: every run gets past it.
    """

    def __init__(
        self, lane: Lane, moment: Moment, first: int, every: int, wanted: Callable[[Call], bool]
    ) -> None:
        self._lane, self._moment = lane, moment
        self._first, self._every, self._wanted = first, every, wanted
        self._known: set[str] = set()
        self._marked: set[int] = set()
        self.killed_at: list[str] = []

    def decide(self, call: Call) -> Fate:
        """Every call passes; some are marked."""
        if self._wanted(call) and call.label not in self._known:
            if len(self._known) % self._every == self._first:
                self._marked.add(id(call))
            self._known.add(call.label)
        return Fate.PASS

    def at(self, moment: Moment, call: Call) -> bool:
        """The worker is dead at the marked calls' moment, and another one on its way."""
        if moment is not self._moment or id(call) not in self._marked:
            return False
        self.killed_at.append(call.label)
        self._lane.replace_worker()
        return True

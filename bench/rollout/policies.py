"""Who decides: the project's own rules, and others' as their sources and documentation say."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import numpy as np

from bench.rollout.world import ROUTES, Tick
from release.judgement import Looked, is_shared_incident, judge_end, judge_harm
from release.ladder import again, comparable_rung, next_rung, rungs
from release.policy import Shift, ShiftStep, Strategy
from release.promotion import Counts
from release.sequential import (
    BUCKET_SECONDS,
    FAILED,
    SLOW,
    VERY_SLOW,
    Pair,
    SequentialTest,
    metrics,
    route_metric,
)
from release.verdict import Verdict

BAKE = 300.0


class Policy(Protocol):
    """A release under way."""

    weight: float
    rolled_back: bool
    full_at: float | None  # when it reached 100 %
    done: bool

    def tick(self, tick: Tick) -> None:
        """A tick has ended."""


class Alarms:
    """CloudWatch alarms of the flow: rates over two whole minutes, seen late, on any counts."""

    def __init__(self, dice: np.random.Generator, limits: tuple[float, ...], floor: int) -> None:
        self._limits, self._floor = limits, floor
        self._phase = float(dice.uniform(0, 60))
        self._delay = float(dice.uniform(30, 120))
        self._minutes: dict[int, list[int]] = {}

    def add(self, at: float, requests: int, failed: int) -> None:
        """A tick's counts."""
        minute = self._minutes.setdefault(math.floor((at + self._phase) / 60), [0, 0])
        minute[0] += requests
        minute[1] += failed

    def red(self, now: float) -> bool:
        """Whether any of the alarms is, of what CloudWatch has got by now."""
        newest = math.floor((now + self._phase - self._delay) / 60) - 1
        rates = [self._rate(self._minutes.get(n)) for n in (newest - 1, newest)]
        return any(min(rates) > limit for limit in self._limits)

    def _rate(self, minute: list[int] | None) -> float:
        if minute is None or not minute[0] or minute[1] < self._floor:
            return 0.0
        return minute[1] / minute[0]


class Ours:
    """The project's own ladder and judgement, called as `activities/shift_step.py` calls them."""

    def __init__(
        self, dice: np.random.Generator, rate: float, strategy: Strategy, bucket: int, *, net: bool
    ) -> None:
        self._shift = Shift(strategy=strategy, routes=ROUTES)
        self._ladder = rungs(self._shift, rate, timedelta(seconds=bucket))
        self._index, self._since, self._served = 0, 0.0, 0
        self._compare, self._comparisons = comparable_rung(self._ladder), 0
        self._comparing_until = 0.0
        self._tested, self._test = metrics(ROUTES), SequentialTest()
        self._bucket, self._delay = bucket, 5.0 if bucket < 60 else 75.0
        self._open: list[Tick] = []
        # the canary's own alarm, and the two rates of the flow; all with the floor that they have
        self._canary = Alarms(dice, (0.05,), 3) if net else None
        self._alias = Alarms(dice, (0.05, 0.10), 3) if net else None
        self._incident_since: float | None = None
        self.weight = self._ladder[0].canary_weight
        self.rolled_back = self.done = False
        self.full_at: float | None = None

    def tick(self, tick: Tick) -> None:
        """A tick has ended."""
        now = tick.start + 5.0
        self._open.append(tick)
        if self._alias and self._canary:
            self._alias.add(tick.start, sum(tick.requests), sum(tick.failed))
            self._canary.add(tick.start, tick.requests[0], tick.failed[0])
        step_back = self._count(now)
        look = self._look(now, step_back=step_back and self.weight < 1)
        if judge_harm(self._shift, self._tested, self._test, look):
            self.rolled_back = True
            return
        self._climb(now, look)

    def _count(self, now: float) -> bool:
        """The buckets that have closed; whether to step back."""
        step_back = False
        while self._open:
            start = self._open[0].start // self._bucket * self._bucket
            if start + self._bucket + self._delay > now:
                break
            bucket = [t for t in self._open if t.start < start + self._bucket]
            self._open = self._open[len(bucket) :]
            weight = max(t.weight for t in bucket)
            for metric in self._tested:
                pair = _pair(bucket, metric.name)
                if pair is not None:
                    self._test.add(metric, weight, pair, self._bucket // BUCKET_SECONDS)
            step_back = self._test.tick(self._tested, self._bucket // BUCKET_SECONDS)
        return step_back

    def _look(self, now: float, *, step_back: bool) -> Looked:
        firing: tuple[str, ...] = ()
        if self._alias and self._canary and (self._alias.red(now) or self._canary.red(now)):
            firing = ("alarm",)
        shared = bool(firing) and is_shared_incident(self._test, self._tested, self.weight)
        self._incident_since = (self._incident_since or now) if shared else None
        lasted = timedelta(seconds=now - self._incident_since) if self._incident_since else None
        return Looked(
            elapsed=timedelta(seconds=now - self._since),
            judged=self._test.total(FAILED).canary_exposed,
            canary=Counts(),
            baseline=Counts(),
            step_back=step_back,
            firing=firing,
            weight=self.weight,
            can_compare=self._compare is not None and self._comparisons < 3,
            comparing=now < self._comparing_until,
            incident_for=lasted,
        )

    def _climb(self, now: float, look: Looked) -> None:
        rung: ShiftStep = self._ladder[self._index]
        if now < self._comparing_until:
            return
        if self._index < self._served:
            rung = again(rung, timedelta(seconds=self._bucket))
        last = self._index + 1 == len(self._ladder)
        following = None if last else self._ladder[self._index + 1].canary_weight
        ended = judge_end(self._shift, rung, following, self._tested, self._test, look)
        if ended is None:
            return
        if ended.verdict is not Verdict.PASSED:
            self.rolled_back = True
            return
        if ended.compare and self._compare is not None:
            self._comparisons += 1
            self._index, self._since, self._comparing_until = self._compare, now, now + 75.0
            self.weight = self._ladder[self._index].canary_weight
            return
        if last:
            self.done = True
            return
        if not ended.step_back:
            self._served = max(self._served, self._index + 1)
        self._index, self._since = next_rung(self._index, step_back=ended.step_back), now
        self.weight = self._ladder[self._index].canary_weight
        if self.weight == 1:
            self.full_at = now


def _pair(ticks: list[Tick], name: str) -> Pair | None:
    if name in (SLOW.name, VERY_SLOW.name):
        of = [t.slow if name == SLOW.name else t.very_slow for t in ticks]
        counts = [(*t.requests, *events) for t, events in zip(ticks, of, strict=True)]
    elif name == FAILED.name:
        counts = [(*t.requests, *t.failed) for t in ticks]
    else:
        numbers = [n for n, route in enumerate(ROUTES) if route_metric(route) == name]
        if not numbers:
            return None  # crashes: none in this world
        counts = [t.routes[numbers[0]] for t in ticks]
    return Pair(*(sum(column) for column in zip(*counts, strict=True)))


class Plan(ABC):
    """What every other policy has in common: a ladder by the clock."""

    def __init__(self, ladder: list[tuple[float, float]], bake: float) -> None:
        self._ladder, self._bake = ladder, bake  # (from second, weight)
        self.weight = ladder[0][1]
        self.rolled_back = self.done = False
        self.full_at: float | None = None

    def tick(self, tick: Tick) -> None:
        """A tick has ended."""
        now = tick.start + 5.0
        if self.is_bad(tick, now):
            self.rolled_back = True
            return
        self.weight = [weight for since, weight in self._ladder if since <= now][-1]
        if self.weight == 1 and self.full_at is None:
            self.full_at = now
        self.done = self.full_at is not None and now >= self.full_at + self._bake

    @abstractmethod
    def is_bad(self, tick: Tick, now: float) -> bool:
        """The policy's own rule."""


LINEAR = [(60.0 * n, min(1.0, 0.1 * (n + 1))) for n in range(10)]


class FlowAlarms(Plan):
    """The flow, read literally: alarms on the alias, 10 % a minute."""

    def __init__(self, dice: np.random.Generator, floor: int = 0) -> None:
        super().__init__(LINEAR, BAKE)
        self._alarms = Alarms(dice, (0.05, 0.10), floor)

    def is_bad(self, tick: Tick, now: float) -> bool:
        """An alarm on the alias."""
        self._alarms.add(tick.start, sum(tick.requests), sum(tick.failed))
        return self._alarms.red(now)


class CodeDeploy(Plan):
    """LambdaCanary10Percent5Minutes with the same alarms; it ends when 100 % is reached."""

    def __init__(self, dice: np.random.Generator) -> None:
        super().__init__([(0.0, 0.1), (300.0, 1.0)], 0.0)
        self._alarms = Alarms(dice, (0.05, 0.10), 0)

    def is_bad(self, tick: Tick, now: float) -> bool:
        """An alarm on the alias."""
        self._alarms.add(tick.start, sum(tick.requests), sum(tick.failed))
        return self._alarms.red(now)


class Window:
    """A Prometheus query of the canary's success rate: a minute that ended ten seconds ago."""

    def __init__(self) -> None:
        self._ticks: list[Tick] = []

    def add(self, tick: Tick) -> None:
        """A tick's counts."""
        self._ticks = [*self._ticks[-30:], tick]

    def success(self, now: float) -> float | None:
        """None without requests."""
        found = [t for t in self._ticks if now - 70 <= t.start < now - 10]
        requests = sum(t.requests[0] for t in found)
        return 1 - sum(t.failed[0] for t in found) / requests if requests else None

    def is_slow(self, now: float) -> bool:
        """Whether its p99 lies above four times the old median, the documented 500 ms of 120."""
        found = [t for t in self._ticks if now - 70 <= t.start < now - 10]
        requests = sum(t.requests[0] for t in found)
        return requests > 0 and sum(t.very_slow[0] for t in found) > 0.04 * requests


class ArgoTight(Plan):
    """The linear plan, success >= 0.95 once a minute, failureLimit 0."""

    failure_limit, every, least = 0, 60.0, 0.95

    def __init__(
        self, dice: np.random.Generator, ladder: list[tuple[float, float]] = LINEAR
    ) -> None:
        super().__init__(ladder, BAKE)
        self._window, self._failures, self._next = Window(), 0, self.every

    def is_bad(self, tick: Tick, now: float) -> bool:
        """More failed measurements than the limit."""
        self._window.add(tick)
        if now < self._next:
            return False
        self._next += self.every
        success = self._window.success(now)
        self._failures += success is not None and success < self.least
        return self._failures > self.failure_limit


class ArgoExample(ArgoTight):
    """Its documented example: 20 % every ten minutes, measured every five, failureLimit 3."""

    failure_limit, every = 3, 300.0

    def __init__(self, dice: np.random.Generator) -> None:
        super().__init__(dice, [(600.0 * n, min(1.0, 0.2 * (n + 1))) for n in range(5)])


class Flagger(Plan):
    """Once a minute success >= 99 % and p99 <= 500 ms: 10 % more, or back at the fifth failure."""

    def __init__(self, dice: np.random.Generator) -> None:
        super().__init__([(0.0, 0.1)], BAKE)
        self._window, self._failures, self._next = Window(), 0, 60.0

    def is_bad(self, tick: Tick, now: float) -> bool:
        """Five failed checks; no traffic is a failed check."""
        self._window.add(tick)
        if self.full_at is not None or now < self._next:
            return False
        self._next += 60.0
        success = self._window.success(now)
        if success is None or success < 0.99 or self._window.is_slow(now):
            self._failures += 1
            return self._failures >= 5
        grown = self._ladder[-1][1] + 0.1
        self._ladder.append((now, grown if grown <= 0.5 + 1e-9 else 1.0))
        return False


class Kayenta(Plan):
    """NetflixACAJudge (Mann-Whitney, 0.98, tolerance 0.25) on minutes, squeezed into 2 x 5 min."""

    def __init__(self, dice: np.random.Generator) -> None:
        super().__init__([(0.0, 0.1), (300.0, 0.5), (600.0, 1.0)], BAKE)
        self._minutes: dict[int, list[int]] = {}
        self._next = 300.0

    def is_bad(self, tick: Tick, now: float) -> bool:
        """The canary's error rates lie above the baseline's."""
        minute = self._minutes.setdefault(int(tick.start // 60), [0, 0, 0, 0])
        for n, value in enumerate((*tick.requests, *tick.failed)):
            minute[n] += value
        if now < self._next or now > 600:
            return False
        self._next += 300.0
        last = [self._minutes[m] for m in sorted(self._minutes)][-5:]
        new = [m[2] / m[0] for m in last if m[0]]
        old = [m[3] / m[1] for m in last if m[1]]
        if len(new) < 3 or len(old) < 3:
            return True  # no data: score 0
        differences = sorted(a - b for a in new for b in old)
        shift = differences[len(differences) // 2]
        return differences[1] > 0.25 * abs(shift) and differences[1] > 0


POLICIES: dict[str, Callable[[np.random.Generator, float], Policy]] = {
    "flow: alarms, 10 %/min": lambda dice, rate: FlowAlarms(dice),
    "flow, floor of 3": lambda dice, rate: FlowAlarms(dice, 3),
    "CodeDeploy C10/5": lambda dice, rate: CodeDeploy(dice),
    "Argo, every minute": lambda dice, rate: ArgoTight(dice),
    "Argo, its example": lambda dice, rate: ArgoExample(dice),
    "Flagger": lambda dice, rate: Flagger(dice),
    "Kayenta 2 x 5 min": lambda dice, rate: Kayenta(dice),
    "ours linear, 1-min": lambda dice, rate: Ours(dice, rate, Strategy.LINEAR, 60, net=True),
    "ours adaptive, 1-min": lambda dice, rate: Ours(dice, rate, Strategy.ADAPTIVE, 60, net=True),
    "ours linear": lambda dice, rate: Ours(dice, rate, Strategy.LINEAR, 5, net=True),
    "ours adaptive": lambda dice, rate: Ours(dice, rate, Strategy.ADAPTIVE, 5, net=True),
    "ours linear, no alarms": lambda dice, rate: Ours(dice, rate, Strategy.LINEAR, 5, net=False),
}

"""Virtual time: a queue of events, and processes that wait in it; one seed, one order."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import time_machine
from greenlet import getcurrent, greenlet

START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC).timestamp()


@dataclass
class Event:
    """Something that will happen, unless it is called off."""

    at: float
    action: Callable[[], None]
    is_off: bool = False

    def call_off(self) -> None:
        """It does not happen."""
        self.is_off = True


@dataclass
class Process:
    """Synchronous code of the product that waits in virtual time: `Clockwork.sleep`."""

    name: str
    let: Any = None
    is_dead: bool = False
    interrupt: BaseException | None = None
    frozen_until: float = 0.0
    wake: Event | None = None
    is_waiting: bool = False  # for a cancellation as well as for time


@dataclass
class Clockwork:
    """The one clock of a run; everything random in it comes from one seed."""

    seed: int
    now: float = START
    story: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # nosec B311  a run has to be repeatable
        self._numbers = itertools.count()
        self._queue: list[tuple[float, float, int, Event]] = []
        self._hub = getcurrent()
        self._travel = time_machine.travel(self.now, tick=False)
        self._traveller: Any = None
        # what runs on a clock of its own in the product; time_machine leaves it alone
        self._monotonic = patch("time.monotonic", lambda: self.now - START)

    def __enter__(self) -> "Clockwork":
        self._traveller = self._travel.start()
        self._monotonic.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._monotonic.stop()
        self._travel.stop()

    def tell(self, line: str) -> None:
        """A line of the story that a failure prints."""
        self.story.append((self.now, line))

    def after(self, seconds: float, action: Callable[[], None]) -> Event:
        """The action happens then; what happens at one instant comes in a random order."""
        event = Event(self.now + seconds, action)
        heapq.heappush(self._queue, (event.at, self.random.random(), next(self._numbers), event))
        return event

    def delay(self, least: float, most: float) -> float:
        """A random time, mostly short."""
        return least + (most - least) * self.random.random() ** 3

    def step(self) -> bool:
        """The next event has happened; False if there is none."""
        while self._queue:
            event = heapq.heappop(self._queue)[-1]
            if not event.is_off:
                self.now = max(self.now, event.at)
                event.action()
                return True
        return False

    # --- processes ---

    def spawn(self, name: str, work: Callable[[], Any], done: Callable[[Any], None]) -> Process:
        """The work runs from now on; `done` gets its result, or its exception."""
        process = Process(name)

        def body() -> None:
            try:
                outcome = work()
            except BaseException as error:
                outcome = error
            if not process.is_dead:
                done(outcome)

        process.let = greenlet(body)
        process.let.process = process
        self._switch(process)
        return process

    def sleep(self, seconds: float, *, wakes: bool = False) -> None:
        """Inside a process: this much later, or at once when cancelled and `wakes`."""
        process: Process = getcurrent().process
        process.is_waiting = wakes
        process.wake = self.after(seconds, lambda: self._switch(process))
        self._hub.switch()
        process.is_waiting = False
        if process.interrupt is not None:
            interrupt, process.interrupt = process.interrupt, None
            raise interrupt

    def interrupt(self, process: Process, error: BaseException) -> None:
        """The error is raised in the process as soon as it is back from what it waits for."""
        process.interrupt = error
        if process.is_waiting and process.wake is not None:
            process.wake.call_off()
            process.wake = self.after(0, lambda: self._switch(process))

    def kill(self, process: Process) -> None:
        """The process never does anything again; what it has sent already may still arrive."""
        process.is_dead = True
        if process.wake is not None:
            process.wake.call_off()

    @staticmethod
    def current() -> Process:
        """The process that asks."""
        found: Process = getcurrent().process
        return found

    def _switch(self, process: Process) -> None:
        if process.is_dead:
            return
        if process.frozen_until > self.now:
            process.wake = self.after(
                process.frozen_until - self.now, lambda: self._switch(process)
            )
            return
        self._traveller.move_to(self.now)
        process.let.switch()

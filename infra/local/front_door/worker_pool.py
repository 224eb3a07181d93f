"""The workers of one function: started on demand, kept warm, throttled, reaped when idle."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from infra.local.front_door.invocation import Invocation, Outcome, WorkerGoneError
from infra.local.front_door.model import FunctionVersion, LambdaError
from infra.local.front_door.worker import Worker

# What a laptop can run at once for one function, all its versions together.
MAX_CONCURRENCY = 16

StartWorker = Callable[[FunctionVersion], Awaitable[Worker]]


class WorkerPool:
    """Every worker of one function, of whichever version; one worker runs one event at a time."""

    def __init__(self, start_worker: StartWorker) -> None:
        self._start_worker = start_worker
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []  # the last used is the first used again
        self.running = 0

    async def run(
        self, version: FunctionVersion, invocation: Invocation, reserved: int | None
    ) -> Outcome:
        """The event's outcome, from a warm worker of this version or from a new one.

        Raises:
            LambdaError: the concurrency limit is reached (429), or the code is unusable (502).
        """
        _throttle(self.running, reserved)
        self.running += 1
        try:
            while True:
                worker = self._warm(version) or await self._cold(version)
                worker.submit(invocation)
                try:
                    return await invocation.outcome
                except WorkerGoneError:
                    invocation.outcome = asyncio.get_running_loop().create_future()
                except asyncio.CancelledError:
                    worker.kill()  # nobody waits any more, and it is not free either
                    raise
                finally:
                    self._put_back(worker)
        finally:
            self.running -= 1

    def reap(self, idle_seconds: float) -> None:
        """Workers that were idle for so long are ended."""
        before = time.monotonic() - idle_seconds
        for worker in [w for w in self._idle if w.idle_since < before]:
            self._idle.remove(worker)
            self._end(worker)

    async def close(self) -> None:
        """No worker is left."""
        workers = list(self._workers)
        for worker in workers:
            worker.kill()
        await asyncio.gather(*(worker.ended() for worker in workers))

    def _warm(self, version: FunctionVersion) -> Worker | None:
        for worker in [w for w in self._idle if w.gone]:
            self._idle.remove(worker)
            self._workers.discard(worker)
        for worker in reversed(self._idle):
            if worker.version == version:
                self._idle.remove(worker)
                return worker
        return None

    async def _cold(self, version: FunctionVersion) -> Worker:
        # An idle worker of another version makes room, so processes stay bounded as well.
        if len(self._workers) >= MAX_CONCURRENCY and self._idle:
            self._end(self._idle.pop(0))
        worker = await self._start_worker(version)
        self._workers.add(worker)
        return worker

    def _put_back(self, worker: Worker) -> None:
        if worker.gone:
            self._workers.discard(worker)
        else:
            self._idle.append(worker)

    def _end(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.kill()


def _throttle(running: int, reserved: int | None) -> None:
    if reserved is not None and running >= min(reserved, MAX_CONCURRENCY):
        reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    elif running >= MAX_CONCURRENCY:
        reason = "ConcurrentInvocationLimitExceeded"
    else:
        return
    raise LambdaError(429, "TooManyRequestsException", "Rate Exceeded.", reason)

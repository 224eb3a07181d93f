"""The Lambda data plane: which version, which worker, what is measured.

An asynchronous invocation that fails is tried twice more, after one and after two minutes, as
Lambda does. It is kept in memory only: an event that waits is lost when the front door ends.
"""

import asyncio
import logging
import secrets
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from infra.local.front_door.code_store import CodeStore
from infra.local.front_door.invocation import Invocation, Outcome
from infra.local.front_door.metrics import InvocationRecord
from infra.local.front_door.model import FunctionVersion, LambdaError
from infra.local.front_door.routing import Routing, Target
from infra.local.front_door.telemetry import Telemetry
from infra.local.front_door.worker import Worker
from infra.local.front_door.worker_pool import WorkerPool

_log = logging.getLogger(__name__)
_RETRY_AFTER_SECONDS = (0, 60, 120)


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of this data plane is started with."""

    python: str
    host: dict[str, str]  # region and credentials of the laptop cloud
    given: dict[str, str]  # further variables, which win over the configured ones


@dataclass(frozen=True)
class Invoked:
    """The answer to one invocation."""

    request_id: str
    version: str
    outcome: Outcome


class DataPlane:
    """Invokes functions by name and qualifier, on warm workers."""

    def __init__(
        self, routing: Routing, code: CodeStore, telemetry: Telemetry, settings: WorkerSettings
    ) -> None:
        self._routing = routing
        self._code = code
        self._telemetry = telemetry
        self._settings = settings
        self._pools: defaultdict[str, WorkerPool] = defaultdict(
            lambda: WorkerPool(self._start_worker)
        )
        self._background: set[asyncio.Task[None]] = set()

    async def resolve(self, function: str, qualifier: str | None) -> Target:
        """Where an invocation would go; raises as `invoke` does."""
        return await self._routing.resolve(function, qualifier)

    async def invoke(
        self,
        function: str,
        qualifier: str | None,
        payload: bytes,
        headers: dict[str, str] | None = None,
        request_id: str | None = None,
    ) -> Invoked:
        """The function's answer, be it its result or its error.

        Raises:
            LambdaError: it was not run: unknown (404), throttled (429), unusable code (502).
        """
        target = await self._routing.resolve(function, qualifier)
        return await self._run(target, payload, headers or {}, request_id or str(uuid.uuid4()))

    def invoke_later(self, target: Target, payload: bytes, request_id: str) -> None:
        """The event is accepted; it runs in the background."""
        task = asyncio.create_task(self._run_with_retries(target, payload, request_id))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def reap_idle(self, idle_seconds: float) -> None:
        """Ends idle workers, for ever."""
        while True:
            await asyncio.sleep(min(10.0, idle_seconds / 4))
            for pool in self._pools.values():
                pool.reap(idle_seconds)

    async def close(self) -> None:
        """Nothing runs any more, and no worker is left."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    async def _run(
        self, target: Target, payload: bytes, headers: dict[str, str], request_id: str
    ) -> Invoked:
        version = target.version
        pool = self._pools[version.function]
        trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        invocation = Invocation(
            request_id=request_id,
            payload=payload,
            arn=target.arn,
            headers={"Lambda-Runtime-Trace-Id": trace, **headers},
            outcome=asyncio.get_running_loop().create_future(),
        )
        started, concurrent = time.time(), pool.running + 1
        try:
            outcome = await pool.run(version, invocation, target.reserved_concurrency)
        except LambdaError as error:
            if error.status == 429:
                self._record(target, started, None, concurrent)
            raise
        self._record(target, started, outcome, concurrent)
        return Invoked(request_id, version.version, outcome)

    async def _run_with_retries(self, target: Target, payload: bytes, request_id: str) -> None:
        version = target.version
        for pause in _RETRY_AFTER_SECONDS:
            await asyncio.sleep(pause)
            try:
                # Resolved anew: after a rollback a retry does not meet the bad version again.
                if pause:
                    target = await self._routing.resolve(version.function, target.qualifier)
                answer = await self._run(target, payload, {}, request_id)
                if not answer.outcome.failed:
                    return
            except LambdaError as error:
                _log.warning("event %s for %s: %s", request_id, version.function, error.message)

    def _record(
        self, target: Target, started: float, outcome: Outcome | None, concurrent: int
    ) -> None:
        self._telemetry.invocations.append(
            InvocationRecord(
                function=target.version.function,
                qualifier=target.qualifier,
                executed_version=target.version.version if target.through_alias else None,
                started=started,
                duration_ms=outcome.duration_ms if outcome else None,
                failed=outcome is not None and outcome.failed,
                concurrent=concurrent,
            )
        )

    async def _start_worker(self, version: FunctionVersion) -> Worker:
        folder: Path = await self._code.unpacked(version.code_sha256)
        worker = Worker(version, self._telemetry.log)
        try:
            settings = self._settings
            await worker.start(settings.python, folder, settings.host, settings.given)
        except OSError as error:
            raise LambdaError(500, "ServiceException", f"no worker: {error}") from error
        return worker

"""One warm worker: AWS's runtime client in a process of its own, running one function version."""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from infra.local.front_door.invocation import (
    Invocation,
    Outcome,
    WorkerGoneError,
    error_payload,
    exit_message,
    report_line,
)
from infra.local.front_door.log_pipe import LogPipe
from infra.local.front_door.model import FunctionVersion
from infra.local.front_door.runtime_api import MAX_RESPONSE_BYTES, RuntimeConnection
from infra.local.front_door.worker_environment import worker_environment
from infra.local.front_door.worker_process import kill_group, peak_memory_mb, start_process

# Lambda gives the init phase 10 s; a function with a longer timeout inits again within that.
_INIT_SECONDS = 10.0

LogSink = Callable[[FunctionVersion, str, int, str], None]  # version, stream, epoch ms, line


class Worker:
    """A process, its Runtime API listener and its log; it runs one invocation at a time."""

    def __init__(self, version: FunctionVersion, log: LogSink) -> None:
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        self.version = version
        self.log_stream = f"{day}/[{version.version}]{secrets.token_hex(16)}"
        self.idle_since = time.monotonic()
        self.gone = False
        self._log_sink = log
        self._started = time.perf_counter()
        self._init_ms: float | None = None  # None until the init phase is over
        self._unreported_ms: float | None = None  # the same, until a REPORT line has said it
        self._init_error: bytes | None = None
        self._waiting: RuntimeConnection | None = None
        self._pending: Invocation | None = None  # submitted, not yet taken by the runtime
        self._current: Invocation | None = None  # the runtime has it
        self._timer: asyncio.TimerHandle | None = None

    async def start(
        self, python: str, code: Path, host: dict[str, str], given: dict[str, str]
    ) -> None:
        """The process runs; its init phase has begun.

        Raises:
            OSError: it could not be started; nothing is left of it.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RuntimeConnection(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        environment = worker_environment(
            self.version,
            code=code,
            runtime_api=f"127.0.0.1:{port}",
            log_stream=self.log_stream,
            host=host,
            given=given,
        )
        self._pipe = LogPipe(self._log)
        self._log(f"INIT_START Runtime Version: {self.version.runtime}")
        try:
            self._process = await start_process(
                (python, "-m", "awslambdaric", self.version.handler),
                code,
                environment,
                self._pipe.write_end,
            )
        except BaseException:
            self._pipe.close()
            self._server.close()
            raise
        finally:
            self._pipe.handed_over()
        if self._init_ms is None:  # on a busy machine the runtime may have asked already
            limit = max(_INIT_SECONDS, self.version.timeout_seconds)
            self._timer = loop.call_later(limit, self._timed_out, limit)
        self._watcher = loop.create_task(self._watch())

    def submit(self, invocation: Invocation) -> None:
        """The event is the runtime's as soon as it asks; the outcome stands in the future."""
        self._pending = invocation
        self._hand_over()

    def kill(self) -> None:
        """The process and its children are killed; what it ran fails. Harmless when repeated."""
        self.gone = True  # at once, so that nobody is given a worker that is being killed
        kill_group(self._process)

    async def ended(self) -> None:
        """Returns when the process is gone and its resources are released."""
        await asyncio.shield(self._watcher)

    def asked_next(self, connection: RuntimeConnection) -> None:
        """The runtime waits for an event."""
        self._waiting = connection
        if self._init_ms is None:
            self._init_ms = (time.perf_counter() - self._started) * 1000
            self._unreported_ms = self._init_ms
            self._stop_timer()
        self._hand_over()

    def disconnected(self, connection: RuntimeConnection) -> None:
        """A runtime that waits no more has ended; seen here before its exit status is."""
        if connection is self._waiting:
            self._waiting = None
            self.kill()

    def responded(self, request_id: str, body: bytes) -> None:
        """The handler returned."""
        if len(body) <= MAX_RESPONSE_BYTES:
            self._finish(request_id, body, failed=False)
            return
        message = (
            f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size "
            f"({MAX_RESPONSE_BYTES} bytes)."
        )
        error = error_payload("Function.ResponseSizeTooLarge", message)
        self._finish(request_id, error, failed=True)
        self.kill()  # its answer was refused: on AWS, too, the runtime does not go on

    def failed(self, request_id: str, body: bytes) -> None:
        """The handler raised."""
        self._finish(request_id, body, failed=True)

    def init_failed(self, body: bytes) -> None:
        """The handler could not be loaded; the process ends by itself."""
        self._init_error = body

    def _hand_over(self) -> None:
        invocation, connection = self._pending, self._waiting
        if invocation is None or connection is None:
            return
        self._pipe.read()  # what came between two invocations belongs to neither
        self._pending, self._waiting, self._current = None, None, invocation
        seconds = self.version.timeout_seconds
        self._log(f"START RequestId: {invocation.request_id} Version: {self.version.version}")
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._timed_out, seconds)
        invocation.began = time.perf_counter()
        connection.send_event(
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                **invocation.headers,
            },
            invocation.payload,
        )

    def _finish(self, request_id: str, payload: bytes, *, failed: bool) -> None:
        invocation = self._current
        if invocation is None or invocation.request_id != request_id:
            return
        duration_ms = 0.0
        if invocation.began is not None:
            duration_ms = (time.perf_counter() - invocation.began) * 1000
        self._stop_timer()
        self._pipe.read(to_end=True)
        self._log(f"END RequestId: {request_id}")
        used_mb = peak_memory_mb(self._process)
        memory_mb, init_ms = self.version.memory_mb, self._unreported_ms
        self._log(report_line(request_id, duration_ms, memory_mb, used_mb, init_ms))
        self._unreported_ms = None
        self._current = None
        self.idle_since = time.monotonic()
        if not invocation.outcome.done():
            lines = invocation.log_lines
            invocation.outcome.set_result(Outcome(payload, failed, duration_ms, lines))

    def _timed_out(self, seconds: float) -> None:
        self.kill()
        self._end_running("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")

    async def _watch(self) -> None:
        code = await self._process.wait()
        self.gone = True
        self._stop_timer()
        self._pipe.read(to_end=True)
        self._end_running("Runtime.ExitError", exit_message(code))
        self._pipe.close()
        self._server.close()

    def _end_running(self, kind: str, message: str) -> None:
        if self._current is not None:
            self._fail(self._current, kind, message)
        elif self._pending is not None:
            self._end_pending(kind, message)

    def _end_pending(self, kind: str, message: str) -> None:
        invocation, self._pending = self._pending, None
        if invocation is None or invocation.outcome.done():
            return
        if self._init_ms is not None:  # it worked before: this event was never begun
            invocation.outcome.set_exception(WorkerGoneError())
            return
        self._current = invocation
        if self._init_error is not None:
            self._finish(invocation.request_id, self._init_error, failed=True)
        else:
            self._fail(invocation, kind, message)

    def _fail(self, invocation: Invocation, kind: str, message: str) -> None:
        self._log(f"{invocation.request_id} {message}")
        text = f"RequestId: {invocation.request_id} Error: {message}"
        self._finish(invocation.request_id, error_payload(kind, text), failed=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _log(self, line: str) -> None:
        if self._current is not None:
            self._current.log_lines.append(line)
        self._log_sink(self.version, self.log_stream, int(time.time() * 1000), line)

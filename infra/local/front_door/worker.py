"""One warm worker: AWS's runtime client in a process of its own, running one function version."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from infra.local.front_door.model import FunctionVersion
from infra.local.front_door.runtime_api import MAX_RESPONSE_BYTES, RuntimeConnection
from infra.local.front_door.worker_environment import die_with, worker_environment

# Lambda gives the init phase 10 s; a function with a longer timeout inits again within that.
_INIT_SECONDS = 10.0

LogSink = Callable[[FunctionVersion, str, int, str], None]  # version, stream, epoch ms, line


class WorkerGoneError(Exception):
    """The worker ended before it took the event: another one may run it."""


@dataclass(frozen=True)
class Outcome:
    """What one invocation came to."""

    payload: bytes
    failed: bool
    duration_ms: float
    init_ms: float | None = None  # set on the first invocation of a worker
    log_lines: list[str] = field(default_factory=list)


@dataclass
class Invocation:
    """One event on its way through a worker."""

    request_id: str
    payload: bytes
    arn: str
    headers: dict[str, str]  # further Lambda-Runtime-* headers: trace id, client context
    outcome: asyncio.Future[Outcome]
    began: float = 0.0  # perf_counter when the runtime got the event
    log_lines: list[str] = field(default_factory=list)


class Worker:
    """A process, its Runtime API listener and its log pipe; it runs one invocation at a time."""

    def __init__(self, version: FunctionVersion, log: LogSink) -> None:
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        self.version = version
        self.log_stream = f"{day}/[{version.version}]{secrets.token_hex(16)}"
        self.idle_since = time.monotonic()
        self.gone = False
        self._log_sink = log
        self._partial_line = b""
        self._started = time.perf_counter()
        self._init_ms: float | None = None
        self._init_error: bytes | None = None
        self._waiting: RuntimeConnection | None = None
        self._pending: Invocation | None = None  # submitted, not yet taken by the runtime
        self._current: Invocation | None = None  # the runtime has it
        self._timer: asyncio.TimerHandle | None = None

    async def start(
        self, python: str, code: Path, host: dict[str, str], given: dict[str, str]
    ) -> None:
        """The process runs; its init phase has begun."""
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
        self._pipe, write_end = os.pipe()
        os.set_blocking(self._pipe, False)
        self._log(f"INIT_START Runtime Version: {self.version.runtime}")
        parent = os.getpid()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(python, "-m", "awslambdaric", self.version.handler),
                cwd=code,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
                preexec_fn=(lambda: die_with(parent)) if sys.platform == "linux" else None,
            )
        except BaseException:
            self._server.close()
            os.close(self._pipe)
            raise
        finally:
            os.close(write_end)
        loop.add_reader(self._pipe, self._read_log)
        limit = max(_INIT_SECONDS, self.version.timeout_seconds)
        self._timer = loop.call_later(limit, self._timed_out, limit)
        self._watcher = loop.create_task(self._watch())

    def submit(self, invocation: Invocation) -> None:
        """The event is the runtime's as soon as it asks; the outcome stands in the future."""
        if self.gone:
            invocation.outcome.set_exception(WorkerGoneError())
            return
        self._pending = invocation
        self._hand_over()

    def kill(self) -> None:
        """The process and its children are killed; what it ran fails. Harmless when repeated."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Returns when the process is gone and its resources are released."""
        await asyncio.shield(self._watcher)

    def asked_next(self, connection: RuntimeConnection) -> None:
        """The runtime waits for an event."""
        self._waiting = connection
        if self._init_ms is None:
            self._init_ms = (time.perf_counter() - self._started) * 1000
            self._stop_timer()
        self._hand_over()

    def responded(self, request_id: str, body: bytes) -> None:
        """The handler returned."""
        if len(body) <= MAX_RESPONSE_BYTES:
            self._finish(request_id, body, failed=False)
            return
        message = (
            f"Response payload size exceeded maximum allowed payload size "
            f"({MAX_RESPONSE_BYTES} bytes)."
        )
        error = _error("Function.ResponseSizeTooLarge", message)
        self._finish(request_id, error, failed=True)

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
        self._read_log()  # what came between two invocations belongs to neither
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
        duration_ms = (time.perf_counter() - invocation.began) * 1000 if invocation.began else 0.0
        self._stop_timer()
        self._read_log(to_end=True)
        # Memory is not measured here, so the line says nothing of the memory used.
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
            f"Billed Duration: {int(duration_ms) + 1} ms\tMemory Size: {self.version.memory_mb} MB"
        )
        first, self._init_ms = self._init_ms, 0.0
        if first:
            report += f"\tInit Duration: {first:.2f} ms"
        self._log(f"END RequestId: {request_id}")
        self._log(report)
        self._current = None
        self.idle_since = time.monotonic()
        if not invocation.outcome.done():
            lines = invocation.log_lines
            invocation.outcome.set_result(
                Outcome(payload, failed, duration_ms, first or None, lines)
            )

    def _timed_out(self, seconds: float) -> None:
        # Gone at once, so that nobody is given a worker that is being killed.
        self.gone = True
        current = self._current or self._pending
        if current is not None:
            self._current, self._pending = current, None
            self._fail_current("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")
        self.kill()

    async def _watch(self) -> None:
        code = await self._process.wait()
        self.gone = True
        self._stop_timer()
        self._read_log(to_end=True)
        if self._current is not None:
            self._fail_current("Runtime.ExitError", _exit_message(code))
        elif self._pending is not None:
            self._end_pending(_exit_message(code))
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)
        self._server.close()

    def _end_pending(self, message: str) -> None:
        invocation, self._pending = self._pending, None
        assert invocation is not None
        if self._init_ms is not None:  # it worked before: the event was never begun
            if not invocation.outcome.done():
                invocation.outcome.set_exception(WorkerGoneError())
            return
        self._current = invocation
        if self._init_error is not None:
            self._finish(invocation.request_id, self._init_error, failed=True)
        else:
            self._fail_current("Runtime.ExitError", message)

    def _fail_current(self, kind: str, message: str) -> None:
        assert self._current is not None
        request_id = self._current.request_id
        self._log(f"{request_id} {message}")
        error = _error(kind, f"RequestId: {request_id} Error: {message}")
        self._finish(request_id, error, failed=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read_log(self, *, to_end: bool = False) -> None:
        """The pipe is read empty, at once: what the handler printed precedes its END line."""
        data = self._partial_line
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, 65536):
                data += chunk
            asyncio.get_running_loop().remove_reader(self._pipe)  # every writer has ended
        *lines, self._partial_line = data.split(b"\n")
        if to_end and self._partial_line:
            lines.append(self._partial_line)
            self._partial_line = b""
        for line in lines:
            # The runtime client joins the lines of a stack trace by carriage returns.
            self._log(line.decode("utf-8", "replace").replace("\r", "\n"))

    def _log(self, line: str) -> None:
        if self._current is not None:
            self._current.log_lines.append(line)
        self._log_sink(self.version, self.log_stream, int(time.time() * 1000), line)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _exit_message(code: int) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    if code > 0:
        return f"Runtime exited with error: exit status {code}"
    name = signal.strsignal(-code) or str(-code)
    return f"Runtime exited with error: signal: {name.lower()}"

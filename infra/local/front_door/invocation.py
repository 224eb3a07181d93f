"""One event on its way through a worker, and what it came to."""

import asyncio
import json
import math
import signal
from dataclasses import dataclass, field


class WorkerGoneError(Exception):
    """The worker ended before it took the event: another one may run it."""


@dataclass(frozen=True)
class Outcome:
    """What one invocation came to."""

    payload: bytes
    failed: bool
    duration_ms: float
    log_lines: list[str]


@dataclass
class Invocation:
    """One event on its way through a worker."""

    request_id: str
    payload: bytes
    arn: str
    headers: dict[str, str]  # further Lambda-Runtime-* headers: trace id, client context
    outcome: asyncio.Future[Outcome]
    began: float | None = None  # perf_counter when the runtime got the event
    log_lines: list[str] = field(default_factory=list)


def error_payload(kind: str, message: str) -> bytes:
    """A function error that the platform, not the function, has found."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def exit_message(code: int) -> str:
    """Lambda's words for a runtime that ended; negative is a signal's number."""
    if code == 0:
        return "Runtime exited without providing a reason"
    if code > 0:
        return f"Runtime exited with error: exit status {code}"
    name = signal.strsignal(-code) or str(-code)
    return f"Runtime exited with error: signal: {name.lower()}"


def report_line(
    request_id: str,
    duration_ms: float,
    memory_mb: int,
    used_mb: int | None,
    init_ms: float | None,
) -> str:
    """Lambda's REPORT line; where `used_mb` is not measured, none is said to be used."""
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
        f"Billed Duration: {math.ceil(duration_ms)} ms\tMemory Size: {memory_mb} MB"
    )
    if used_mb is not None:
        report += f"\tMax Memory Used: {used_mb} MB"
    return report if init_ms is None else f"{report}\tInit Duration: {init_ms:.2f} ms"

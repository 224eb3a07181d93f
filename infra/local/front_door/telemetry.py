"""Queues for the request path, and the thread that empties them into metrics and logs."""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

from infra.local.front_door.delivery import LogLine, LogSender, MetricSender
from infra.local.front_door.emf import embedded_samples
from infra.local.front_door.metrics import InvocationRecord, RequestRecord, datums
from infra.local.front_door.model import FunctionVersion

_log = logging.getLogger(__name__)
_MAX_QUEUED = 200_000  # between two flushes; the oldest are dropped first

Item = TypeVar("Item")


class Telemetry:
    """What is appended here is sent by the next flush, in a thread of its own."""

    def __init__(
        self, cloudwatch: Any, logs: Any, flush_seconds: float, high_resolution: bool = False
    ) -> None:
        self.invocations: deque[InvocationRecord] = deque(maxlen=_MAX_QUEUED)
        self.requests: deque[RequestRecord] = deque(maxlen=_MAX_QUEUED)
        self._lines: deque[LogLine] = deque(maxlen=_MAX_QUEUED)
        self._metrics = MetricSender(cloudwatch, high_resolution)
        self._logs = LogSender(logs)
        self._flush_seconds = flush_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """The thread runs."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """A last flush was made, or `seconds` have passed."""
        self._stopping.set()
        self._thread.join(seconds)

    def log(self, version: FunctionVersion, stream: str, epoch_ms: int, text: str) -> None:
        """The line will reach its log group, and its metrics CloudWatch if it is EMF."""
        self._lines.append(LogLine(version.log_group, stream, epoch_ms, text))

    def _run(self) -> None:
        while not self._stopping.wait(self._flush_seconds):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        try:
            lines = list(_take(self._lines))
            measured = chain(
                chain.from_iterable(record.samples() for record in _take(self.invocations)),
                chain.from_iterable(record.samples() for record in _take(self.requests)),
            )
            embedded = chain.from_iterable(embedded_samples(line.text) for line in lines)
            self._metrics.send(datums(chain(measured, embedded)))
            self._logs.send(lines)
        except Exception:  # a flush that fails must not end all the later ones
            _log.exception("telemetry flush failed")


def _take(queue: "deque[Item]") -> Iterator[Item]:
    for _ in range(len(queue)):  # what is appended meanwhile waits for the next flush
        yield queue.popleft()

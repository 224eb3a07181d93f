"""Metrics and logs on their way to CloudWatch, from a thread of their own.

The request path only appends to queues. What a receiver did not take is kept, up to a bound, and
sent again; a call that was taken but whose answer was lost is therefore counted twice.
"""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.front_door.emf import embedded_samples
from infra.local.front_door.metrics import (
    DATUMS_PER_CALL,
    InvocationRecord,
    RequestRecord,
    datums,
)
from infra.local.front_door.model import FunctionVersion

__all__ = ["InvocationRecord", "RequestRecord", "Telemetry"]

_log = logging.getLogger(__name__)

# Kept while a receiver is down; the oldest are dropped first.
_MAX_DATUMS = 50_000
_MAX_LINES = 200_000
# PutLogEvents takes 10,000 events and 1 MiB, each event counted with 26 bytes more.
_EVENTS_PER_CALL = 5_000
_BYTES_PER_CALL = 1_000_000
_MAX_LINE_CHARACTERS = 200_000

Item = TypeVar("Item")


class LogLine(NamedTuple):
    """One line of a worker's log."""

    group: str
    stream: str
    epoch_ms: int
    text: str


class Telemetry:
    """Queues for the request path, and the thread that empties them."""

    def __init__(self, cloudwatch: Any, logs: Any, flush_seconds: float) -> None:
        self.invocations: deque[InvocationRecord] = deque(maxlen=_MAX_LINES)
        self.requests: deque[RequestRecord] = deque(maxlen=_MAX_LINES)
        self._lines: deque[LogLine] = deque(maxlen=_MAX_LINES)
        self._cloudwatch = cloudwatch
        self._logs = logs
        self._flush_seconds = flush_seconds
        self._unsent_datums: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_DATUMS)
        self._unsent_lines: deque[LogLine] = deque(maxlen=_MAX_LINES)
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
        lines = list(_take_all(self._lines))
        records: Iterator[InvocationRecord | RequestRecord]
        records = chain(_take_all(self.invocations), _take_all(self.requests))
        samples = chain.from_iterable(record.samples() for record in records)
        embedded = chain.from_iterable(embedded_samples(line.text) for line in lines)
        self._unsent_datums.extend(datums(chain(samples, embedded)))
        self._unsent_lines.extend(lines)
        self._send_datums()
        self._send_lines()

    def _send_datums(self) -> None:
        by_namespace: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for item in _take_all(self._unsent_datums):
            by_namespace[item[0]].append(item)
        for namespace, items in by_namespace.items():
            for start in range(0, len(items), DATUMS_PER_CALL):
                part = items[start : start + DATUMS_PER_CALL]
                data = [datum for _, datum in part]
                if not _sent(
                    lambda namespace=namespace, data=data: self._cloudwatch.put_metric_data(  # type: ignore[misc]
                        Namespace=namespace, MetricData=data
                    )
                ):
                    self._unsent_datums.extend(items[start:])
                    break

    def _send_lines(self) -> None:
        by_stream: defaultdict[tuple[str, str], list[LogLine]] = defaultdict(list)
        for line in _take_all(self._unsent_lines):
            by_stream[line.group, line.stream].append(line)
        for (group, stream), lines in by_stream.items():
            for part in _log_batches(lines):
                events = [
                    {"timestamp": line.epoch_ms, "message": line.text[:_MAX_LINE_CHARACTERS]}
                    for line in part
                ]
                if not _sent(
                    lambda group=group, stream=stream, events=events: self._put_events(  # type: ignore[misc]
                        group, stream, events
                    )
                ):
                    self._unsent_lines.extend(part)

    def _put_events(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        names = {"logGroupName": group, "logStreamName": stream}
        try:
            self._logs.put_log_events(**names, logEvents=events)
        except self._logs.exceptions.ResourceNotFoundException:
            for create, given in (
                (self._logs.create_log_group, {"logGroupName": group}),
                (self._logs.create_log_stream, names),
            ):
                try:
                    create(**given)
                except self._logs.exceptions.ResourceAlreadyExistsException:
                    continue
            self._logs.put_log_events(**names, logEvents=events)


def _take_all(queue: "deque[Item]") -> Iterator[Item]:
    for _ in range(len(queue)):  # what is appended meanwhile waits for the next flush
        try:
            yield queue.popleft()
        except IndexError:  # a full queue drops its oldest
            return

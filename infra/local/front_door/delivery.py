"""Sends metrics and log lines, and keeps what a receiver did not take, up to a bound.

A call that was taken but whose answer was lost is sent again, and so counts twice.
"""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.front_door.metrics import DATUMS_PER_CALL

_log = logging.getLogger(__name__)

# Kept while a receiver is down; the oldest are dropped first.
_MAX_DATUMS = 50_000
_MAX_LINES = 200_000
# PutLogEvents takes 10,000 events and 1 MiB, each event counted with 26 bytes more.
_EVENTS_PER_CALL = 5_000
_BYTES_PER_CALL = 1_000_000
_BYTES_PER_LINE = 200_000

Datum = tuple[str, dict[str, Any]]  # namespace, MetricDatum


class LogLine(NamedTuple):
    """One line of a worker's log."""

    group: str
    stream: str
    epoch_ms: int
    text: str


class MetricSender:
    """PutMetricData for datums of any namespace.

    A datum that asks for it keeps its second. AWS keeps Lambda's own metrics by the minute;
    `high_resolution` keeps all by the second, for a compressed clock whose minute is shorter.
    """

    def __init__(self, cloudwatch: Any, high_resolution: bool) -> None:
        self._cloudwatch = cloudwatch
        self._resolution = {"StorageResolution": 1} if high_resolution else {}
        self._unsent: deque[Datum] = deque(maxlen=_MAX_DATUMS)

    def send(self, fresh: list[Datum]) -> None:
        """What was left over and what is fresh is sent, or kept for the next time."""
        self._unsent.extend(fresh)
        by_namespace: defaultdict[str, list[Datum]] = defaultdict(list)
        for datum in self._unsent:
            by_namespace[datum[0]].append(datum)
        self._unsent.clear()
        for namespace, datums in by_namespace.items():
            for start in range(0, len(datums), DATUMS_PER_CALL):
                data = [
                    datum | self._resolution for _, datum in datums[start : start + DATUMS_PER_CALL]
                ]
                put = self._cloudwatch.put_metric_data
                if not _taken(partial(put, Namespace=namespace, MetricData=data)):
                    self._unsent.extend(datums[start:])
                    break


class LogSender:
    """PutLogEvents; log groups and streams are created when first needed."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs
        self._unsent: deque[LogLine] = deque(maxlen=_MAX_LINES)

    def send(self, fresh: list[LogLine]) -> None:
        """What was left over and what is fresh is sent, or kept for the next time."""
        self._unsent.extend(fresh)
        by_stream: defaultdict[tuple[str, str], list[LogLine]] = defaultdict(list)
        for line in self._unsent:
            by_stream[line.group, line.stream].append(line)
        self._unsent.clear()
        reachable = True
        for (group, stream), lines in by_stream.items():
            for batch in _batches(lines):
                reachable = reachable and _taken(partial(self._put, group, stream, batch))
                if not reachable:
                    self._unsent.extend(batch)

    def _put(self, group: str, stream: str, lines: list[LogLine]) -> None:
        names = {"logGroupName": group, "logStreamName": stream}
        events = [{"timestamp": line.epoch_ms, "message": line.text} for line in lines]
        missing = self._logs.exceptions.ResourceNotFoundException
        try:
            self._logs.put_log_events(**names, logEvents=events)
        except missing:
            self._create(self._logs.create_log_group, {"logGroupName": group})
            self._create(self._logs.create_log_stream, names)
            self._logs.put_log_events(**names, logEvents=events)

    def _create(self, create: Callable[..., Any], given: dict[str, str]) -> None:
        try:
            create(**given)
        except self._logs.exceptions.ResourceAlreadyExistsException:
            return


def _batches(lines: list[LogLine]) -> Iterator[list[LogLine]]:
    batch: list[LogLine] = []
    size = 0
    for line in lines:
        text = line.text.encode()[:_BYTES_PER_LINE].decode("utf-8", "ignore")
        cost = len(text.encode()) + 26
        if batch and (len(batch) == _EVENTS_PER_CALL or size + cost > _BYTES_PER_CALL):
            yield batch
            batch, size = [], 0
        batch.append(line._replace(text=text))
        size += cost
    if batch:
        yield batch


def _taken(call: Callable[[], object]) -> bool:
    """False where sending it again may help; what is refused for good counts as taken."""
    try:
        call()
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status >= 500 or status == 429 or "Throttl" in error.response["Error"]["Code"]:
            return False
        _log.warning("telemetry refused: %s", error)
    except BotoCoreError:
        return False
    return True

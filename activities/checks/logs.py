"""A function's log, read line by line: filter patterns and Insights are not relied on.

ministack's `FilterLogEvents` has no pages and its JSON patterns match everything, so streams are
read one by one, newest first, and every judgement of a line is made here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

_MOST_BYTES = 64 * 1024 * 1024
_MOST_PAGES = 500
# a stream's lastEventTimestamp is updated within an hour, says DescribeLogStreams' reference
_LATENESS = timedelta(hours=1)
_VERSION = re.compile(r"/\[(\d+|\$LATEST)\]")


class Line(NamedTuple):
    """One line of a function's log."""

    group: str
    stream: str
    at: datetime
    text: str

    @property
    def version(self) -> str:
        """The function version that wrote it, by the name of its stream; empty if that is odd."""
        return _version_of(self.stream)


@dataclass(frozen=True)
class Window:
    """The lines of some log groups since a moment."""

    since: datetime
    groups: tuple[str, ...]
    lines: tuple[Line, ...]
    is_cut: bool

    def of(self, versions: dict[str, str]) -> "Window":
        """Only the lines of these log groups' versions."""
        lines = tuple(line for line in self.lines if versions.get(line.group) == line.version)
        return Window(self.since, tuple(versions), lines, self.is_cut)

    def __str__(self) -> str:
        """How much was read, for the evidence."""
        groups = f"{len(self.groups)} log group{'s' if len(self.groups) != 1 else ''}"
        cut = " (there are more; the oldest were not read)"
        oldest = min((line.at for line in self.lines), default=self.since)
        return (
            f"{len(self.lines):,} lines of {groups} since {oldest:%Y-%m-%d %H:%M:%S}Z"
            f"{cut if self.is_cut else ''}"
        )


class LogReader:
    """Reads log groups within bounds; `pause` is called between pages and may raise."""

    def __init__(
        self, logs: Any, pause: Callable[[float], None], most_bytes: int = _MOST_BYTES
    ) -> None:
        self._logs = logs
        self._pause = pause
        self._most_bytes = most_bytes

    def read(self, groups: list[str], since: datetime, version: str = "") -> Window:
        """Every line since then, the newest streams first until a bound is reached.

        With a version only the streams that this function version wrote are read.
        """
        budget = _Budget(self._most_bytes)
        lines: list[Line] = []
        for group in groups:
            for stream in self._streams(group, since):
                if version and _version_of(stream) != version:
                    continue
                lines += self._lines(group, stream, since, budget)
        return Window(since, tuple(groups), tuple(lines), budget.is_spent)

    def _streams(self, group: str, since: datetime) -> list[str]:
        oldest = (since - _LATENESS).timestamp() * 1000
        names: list[str] = []
        pages = self._logs.get_paginator("describe_log_streams").paginate(
            logGroupName=group, orderBy="LastEventTime", descending=True
        )
        for page in pages:
            self._pause(0)
            for stream in page["logStreams"]:
                if stream.get("lastEventTimestamp", oldest) < oldest:
                    return names
                names.append(stream["logStreamName"])
        return names

    def _lines(self, group: str, stream: str, since: datetime, budget: "_Budget") -> list[Line]:
        lines: list[Line] = []
        token: dict[str, str] = {}
        while not budget.is_spent:
            self._pause(0)
            page = self._logs.get_log_events(
                logGroupName=group,
                logStreamName=stream,
                startTime=int(since.timestamp() * 1000),
                startFromHead=False,
                **token,
            )
            lines += [_line(group, stream, event) for event in reversed(page["events"])]
            budget.spend(sum(len(event["message"]) for event in page["events"]))
            following = page["nextBackwardToken"]
            # an empty page may come in the middle; the end is where the token stays the same
            if token.get("nextToken") == following:
                break
            token = {"nextToken": following}
        return lines[::-1]


class _Budget:
    """What may still be read, over all groups and streams."""

    def __init__(self, most_bytes: int) -> None:
        self._bytes = most_bytes
        self._pages = _MOST_PAGES

    @property
    def is_spent(self) -> bool:
        """Nothing more is read."""
        return self._bytes <= 0 or self._pages <= 0

    def spend(self, size_bytes: int) -> None:
        """One page was read."""
        self._bytes -= size_bytes
        self._pages -= 1


def _version_of(stream: str) -> str:
    found = _VERSION.search(stream)
    return found[1] if found else ""


def _line(group: str, stream: str, event: dict[str, Any]) -> Line:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return Line(group, stream, at, event["message"])

"""Logs are read whole, page by page, or up to a bound that the evidence tells of."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from activities.checks.logs import LogReader
from tests.checks.staging_parts import Cloud

LINES = 12_000  # more than one page of GetLogEvents has


@pytest.fixture(scope="module")
def group(cloud: Cloud) -> Iterator[str]:
    """A log group with a long stream of this minute and a short one of long ago."""
    name, logs = f"/test/{uuid.uuid4().hex}", cloud.aws.logs
    logs.create_log_group(logGroupName=name)
    now = int(time.time() * 1000)
    day = 24 * 3600 * 1000
    for stream, begin, count in (("a/[7]new", now - LINES, LINES), ("a/[6]old", now - 9 * day, 3)):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        events = [{"timestamp": begin + n, "message": f"line {n}"} for n in range(count)]
        for first in range(0, count, 6_000):
            logs.put_log_events(
                logGroupName=name, logStreamName=stream, logEvents=events[first : first + 6_000]
            )
    yield name
    logs.delete_log_group(logGroupName=name)


def no_pause(_: float) -> None:
    """The tests read without a break."""


def test_all_pages_of_a_stream_are_read_in_order(cloud: Cloud, group: str) -> None:
    """Nothing of a stream longer than a page is lost; what is older than asked is left out."""
    window = LogReader(cloud.aws.logs, no_pause).read(
        [group], datetime.now(UTC) - timedelta(hours=1)
    )

    assert [line.text for line in window.lines] == [f"line {n}" for n in range(LINES)]
    assert {line.version for line in window.lines} == {"7"}
    assert str(window).startswith(f"{LINES:,} lines of 1 log group since ")
    assert "not read" not in str(window)


def test_older_streams_are_read_when_asked_for(cloud: Cloud, group: str) -> None:
    """A longer window reaches the streams of other versions."""
    window = LogReader(cloud.aws.logs, no_pause).read(
        [group], datetime.now(UTC) - timedelta(days=10)
    )

    assert len(window.of({group: "6"}).lines) == 3


def test_reading_that_was_cut_says_so(cloud: Cloud, group: str) -> None:
    """With the bound reached the newest lines are there, and the evidence tells of the others."""
    window = LogReader(cloud.aws.logs, no_pause, most_bytes=1000).read(
        [group], datetime.now(UTC) - timedelta(days=10)
    )

    assert window.lines[-1].text == f"line {LINES - 1}"
    assert len(window.lines) < LINES
    assert str(window).endswith("Z (there are more; the oldest were not read)")

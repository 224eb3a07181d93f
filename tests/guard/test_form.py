"""The guard imports nothing of the release system, and both read what the other writes."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.lease import MOST_DESCRIPTION, Hand, Lease, Note
from tests.guard.guard_parts import GUARD, NOW, guard_lambda

written = guard_lambda.lease
moments = st.datetimes(
    datetime(2000, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)


@given(
    holder=st.text(),
    baseline=st.text(),
    expires=moments,
    ignored=st.lists(st.text(), max_size=3).map(tuple),
)
def test_guard_reads_every_lease_that_a_release_writes(
    holder: str, baseline: str, expires: datetime, ignored: tuple[str, ...]
) -> None:
    """Holder, baseline, end and ignored alarms arrive unchanged, and it is stale at one time."""
    lease = Lease(holder=holder, run="r", baseline=baseline, expires=expires, ignored=ignored)

    read = written.read_lease(lease.to_description())

    assert (read.holder, read.baseline, read.ignored) == (holder, baseline, ignored)
    assert read.expires == expires
    for now in (expires - timedelta(seconds=1), expires):
        assert read.is_stale(now) == lease.is_stale(now)


@given(by=st.text(max_size=64), reason=st.text(max_size=400), at=moments, undone=st.text())
def test_guard_writes_the_note_that_a_release_would(
    by: str, reason: str, at: datetime, undone: str
) -> None:
    """Byte for byte what `release.lease.Note` writes, cut in the same place."""
    at = at.replace(microsecond=0).astimezone(UTC)
    same = Note(hand=Hand.GUARD, by=by, reason=reason, at=at, undone=undone)

    assert written.write_note(by, reason, at, undone) == same.to_description()


@pytest.mark.parametrize("reason", ["no sign of life " * 30, "é" * 400, '"' * 400])
def test_long_reason_is_cut_and_the_rest_of_the_note_is_whole(reason: str) -> None:
    """Lambda takes 256 characters; who, when and which version are never what is cut."""
    text = written.write_note(GUARD, reason, NOW, "1234")

    note = Note.from_description(text)
    assert len(text) <= MOST_DESCRIPTION == written.MOST_DESCRIPTION
    assert note
    assert (note.by, note.at, note.undone) == (GUARD, NOW, "1234")
    assert reason.startswith(note.reason)
    assert len(note.reason) > 5


def test_note_is_no_lease_and_a_lease_is_no_note() -> None:
    """Neither side takes one for the other."""
    assert written.read_lease(written.write_note(GUARD, "why", NOW, "2")) is None
    assert Lease.from_description(written.write_note(GUARD, "why", NOW, "2")) is None


def test_field_that_a_later_release_adds_is_passed_over() -> None:
    """A guard that is older than the release still guards it."""
    lease = Lease(holder="h", run="r", baseline="1", expires=NOW).model_dump(mode="json")

    assert written.read_lease(json.dumps({"lease": lease | {"new": 1}})).baseline == "1"


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_other_description_is_no_lease(text: str) -> None:
    """Whatever a person writes into a description, the guard reads on."""
    assert written.read_lease(text) is None

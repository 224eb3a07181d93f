"""What keeps a commit out of production, and what lets it in."""

from datetime import UTC, datetime, timedelta

import pytest

from release.quarantine import Entry, Released, blocking, refusal

BAD, OTHER, PROMOTED = (letter * 40 for letter in "abc")
AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
BACK = Entry(sha=BAD, version="1.2.3", promotion="p", reason="errors at 30%", at=AT)
RELEASED = Released(by="alice", reason="a false alarm", at=AT + timedelta(hours=1))


def blocks(entry: Entry, *fixes: str, contains: bool = True) -> bool:
    """Whether the record keeps a commit out that contains it and has these trailers."""
    return bool(blocking([entry], lambda sha: contains, lambda sha: fixes))


def test_commit_that_contains_a_quarantined_one_stays_out():
    """The fault is in every descendant, until somebody says that it is not."""
    assert blocks(BACK)
    assert not blocks(BACK, contains=False)


@pytest.mark.parametrize("value", [BAD, BAD[:7], f" {BAD[:12].upper()} "])
def test_declared_fix_lets_a_descendant_in(value):
    """By the whole sha or its first seven characters and more."""
    assert not blocks(BACK, OTHER, value)


@pytest.mark.parametrize("value", ["", BAD[:6], OTHER, f"{BAD}a", f"{BAD[:8]} and more"])
def test_trailer_that_names_no_commit_or_another_declares_nothing(value):
    """Six characters may be anybody's."""
    assert blocks(BACK, value)


def test_released_commit_is_let_in():
    """A release with a reason ends the quarantine."""
    assert not blocks(BACK.model_copy(update={"released": RELEASED}))


def test_each_quarantined_commit_needs_its_own_fix():
    """A fix of one is none of the other."""
    entries = [BACK, BACK.model_copy(update={"sha": OTHER})]

    found = blocking(entries, lambda sha: True, lambda sha: [BAD])

    assert [entry.sha for entry in found] == [OTHER]


def test_same_rollback_is_known_already():
    """An activity's retry carries its first time, also when somebody released in between."""
    assert BACK.again(BACK) is None
    assert BACK.model_copy(update={"released": RELEASED}).again(BACK) is None


def test_rollback_after_a_release_quarantines_again_and_keeps_the_record():
    """Nothing that was decided is lost."""
    released = BACK.model_copy(update={"released": RELEASED})
    later = BACK.model_copy(update={"at": AT + timedelta(hours=2), "reason": "again"})

    again = released.again(later)

    assert again is not None
    assert (again.released, again.reason) == (None, "again")
    assert [Entry.model_validate_json(former) for former in again.earlier] == [released]


def test_record_survives_the_table():
    """Every field, released and before."""
    whole = BACK.model_copy(update={"released": RELEASED, "earlier": (BACK.model_dump_json(),)})

    assert Entry.from_item(BACK.to_item()) == BACK
    assert Entry.from_item(whole.to_item()) == whole


def test_refusal_says_which_why_since_when_and_what_to_do():
    """One line, for a terminal and for the Temporal UI."""
    text = refusal(PROMOTED, [BACK])

    assert text.startswith(f"{PROMOTED[:12]} contains {BAD[:12]}, which is quarantined since ")
    assert "2026-01-01 10:00 UTC, when 1.2.3 went back: errors at 30%" in text
    assert f"`Fixes-Release: {BAD[:12]}`" in text
    assert f"`starter.py quarantine release {BAD[:12]} --reason …`" in text
    assert refusal(BAD, [BACK]).startswith(f"{BAD[:12]} is quarantined since ")
    assert len(text.splitlines()) == 1

"""Quarantine: a commit that was rolled back stays out of production until it is fixed or released.

What descends from it has the same fault, so it stays out too, unless a commit in between declares
the fix by a trailer of its message: `Fixes-Release: <sha>`.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field

from release.lease import Hand, Note
from release.message import Message

PARTITION = "QUARANTINE#prod"
TRAILER = "Fixes-Release"
SHORTEST_SHA = 7  # fewer characters name no commit
_SHOWN = 12


class Released(Message):
    """Somebody's word that the commit may go to production again."""

    by: str
    reason: str
    at: AwareDatetime


class Entry(Message):
    """A commit that went back, and why; the record is kept when it is released."""

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    promotion: str = Field(description="id of what took it to production, or found it there")
    reason: str
    at: AwareDatetime
    released: Released | None = None
    earlier: tuple[str, ...] = Field((), description="the same commit's former records, as JSON")

    def again(self, new: Self) -> Self | None:
        """The record after another rollback, or None where that is known already.

        Only a rollback after the release is another one: a retry of the first carries its time.
        """
        if self.released is None or new.at <= self.released.at:
            return None
        former = self.model_copy(update={"earlier": ()}).model_dump_json()
        return new.model_copy(update={"earlier": (*self.earlier, former)})

    def to_item(self) -> dict[str, Any]:
        """The table's item, in DynamoDB's JSON."""
        fields = {
            "sha": self.sha,
            "version": self.version,
            "promotion": self.promotion,
            "reason": self.reason,
            "at": _stamp(self.at),
        }
        item: dict[str, Any] = {name: {"S": value} for name, value in fields.items()}
        if self.released is not None:
            item |= release_fields(self.released)
        if self.earlier:
            item["earlier"] = {"L": [{"S": former} for former in self.earlier]}
        return {"PK": {"S": PARTITION}, "SK": {"S": self.sha}} | item

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """The record of a table's item. Raises KeyError, ValueError when it is none."""
        released = None
        if "releasedAt" in item:
            released = Released(
                by=item["releasedBy"]["S"],
                reason=item["releasedReason"]["S"],
                at=datetime.fromisoformat(item["releasedAt"]["S"]),
            )
        return cls(
            sha=item["SK"]["S"],
            version=item["version"]["S"],
            promotion=item["promotion"]["S"],
            reason=item["reason"]["S"],
            at=datetime.fromisoformat(item["at"]["S"]),
            released=released,
            earlier=tuple(former["S"] for former in item.get("earlier", {}).get("L", [])),
        )


def reason_of(note: Note) -> str:
    """Why a commit was taken out past Temporal, and by whom; the guard is no person."""
    who = f" by {note.by}" if note.hand is Hand.BREAK_GLASS else ""
    return f"{note.hand.value}{who}: {note.reason}"


def release_fields(released: Released) -> dict[str, Any]:
    """What a release adds to the table's item."""
    return {
        "releasedBy": {"S": released.by},
        "releasedReason": {"S": released.reason},
        "releasedAt": {"S": _stamp(released.at)},
    }


def blocking(
    entries: Iterable[Entry],
    contains: Callable[[str], bool],
    fixes: Callable[[str], Iterable[str]],
) -> list[Entry]:
    """The records that keep a commit out of production.

    Args:
        contains: whether the commit is the quarantined one or descends from it.
        fixes: the trailers' values of the commits that came after the quarantined one.
    """
    return [
        entry
        for entry in entries
        if entry.released is None
        and contains(entry.sha)
        and not any(_fixes(value, entry.sha) for value in fixes(entry.sha))
    ]


def refusal(sha: str, blocked_by: list[Entry]) -> str:
    """Why the commit stays out, in one line, with the two ways on."""
    entry = blocked_by[0]
    quarantined = entry.sha[:_SHOWN]
    what = "is quarantined" if entry.sha == sha else f"contains {quarantined}, which is quarantined"
    more = f" (and {len(blocked_by) - 1} more)" if len(blocked_by) > 1 else ""
    return (
        f"{sha[:_SHOWN]} {what} since {entry.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, "
        f"when {entry.version} went back: {entry.reason}{more}. "
        f"Either promote a fix whose commit message ends with `{TRAILER}: {quarantined}`, or run "
        f"`starter.py quarantine release {quarantined} --reason …`"
    )


def _fixes(value: str, sha: str) -> bool:
    named = value.strip().lower()
    return len(named) >= SHORTEST_SHA and sha.startswith(named)


def _stamp(at: datetime) -> str:
    """One length for all: as texts they sort as times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""The two things that stand in an alias's description, in the form of `release/lease.py`.

Nothing of that is imported, since a broken release system is what the guard is for; a test of the
project holds the two together.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST_DESCRIPTION = 256  # Lambda's own limit of characters


class UnreadableLeaseError(Exception):
    """Something calls itself a lease and does not say when it ends or what to put back."""


@dataclass(frozen=True)
class Lease:
    """An alias on its way from one version to another."""

    holder: str
    baseline: str
    expires: datetime
    ignored: tuple[str, ...]

    def is_stale(self, now: datetime) -> bool:
        """Whether its holder has fallen silent."""
        return now >= self.expires

    def ignores(self, alarm: str) -> bool:
        """Whether this alarm was red for another reason already."""
        # every name ends with the empty text: it would silence all alarms
        return any(part and alarm.endswith(part) for part in self.ignored)


def read_lease(description: str) -> Lease | None:
    """The lease in a description; None where there is none. A field that is new is passed over.

    Raises:
        UnreadableLeaseError: there is one, and nothing could be decided by it.
    """
    try:
        fields = json.loads(description)["lease"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    try:
        expires = datetime.fromisoformat(fields["expires"])
        ignored = tuple(fields.get("ignored", ()))
        texts = (fields["holder"], fields["baseline"], *ignored)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableLeaseError(f"{error!r} in {description}") from error
    if expires.tzinfo is None or not all(isinstance(text, str) for text in texts):
        raise UnreadableLeaseError(f"a time without a zone, or no text in {description}")
    return Lease(fields["holder"], fields["baseline"], expires, ignored)


def write_note(by: str, reason: str, at: datetime, undone: str) -> str:
    """The note that explains what the guard did; a long reason is cut to fit."""
    fields: dict[str, Any] = {
        "hand": "guard",
        "by": by,
        "reason": reason,
        "at": text_of(at),
        "undone": undone,
    }
    while True:
        text = json.dumps({"note": fields}, separators=(",", ":"))
        if len(text) <= MOST_DESCRIPTION or not fields["reason"]:
            return text
        fields["reason"] = fields["reason"][:-1]


def text_of(moment: datetime) -> str:
    """To the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

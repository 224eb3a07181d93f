"""What stands beside a weight, in the alias's own description: who moves it, and until when.

Lambda writes description and weights in one call, so that the two can never differ, and whoever
looks at the alias sees both. `api_lambda/guard` reads the same form and imports nothing of ours;
a test holds the two together.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self, TypeVar

from pydantic import AwareDatetime, Field, ValidationError

from release.message import Message

_Read = TypeVar("_Read", bound=Message)

MOST_DESCRIPTION = 256  # Lambda's own limit of characters

DURATION = timedelta(minutes=2)
"""A lease that nobody renewed for this long is stale. The guard looks every minute, so that the
baseline is back three minutes after the holder fell silent, at the latest."""


class Lease(Message):
    """An alias on its way from one version to another."""

    holder: str = Field(description="the promotion's workflow id")
    run: str = Field(description="its run id: another run of the same commit is another holder")
    baseline: str = Field(description="the version to put back")
    expires: AwareDatetime
    ignored: tuple[str, ...] = Field(
        (), description="last parts of the names of alarms that are red for another reason"
    )

    def to_description(self) -> str:
        """The lease as an alias's description."""
        return json.dumps({"lease": self.model_dump(mode="json")}, separators=(",", ":"))

    @classmethod
    def from_description(cls, text: str) -> Self | None:
        """The lease in a description, or None."""
        return _read(cls, "lease", text)

    def is_held_by(self, holder: str, run: str) -> bool:
        """Whether this run of this promotion wrote it."""
        return (self.holder, self.run) == (holder, run)

    def is_stale(self, now: datetime) -> bool:
        """Whether its holder has fallen silent."""
        return now >= self.expires


class Hand(StrEnum):
    """Who put the baseline back past the promotion."""

    GUARD = "guard"
    BREAK_GLASS = "break-glass"


class Note(Message):
    """What an intervention leaves in the description, until a promotion has recorded it."""

    hand: Hand
    by: str = Field(description="person, or the guard's function")
    reason: str
    at: AwareDatetime
    undone: str = Field("", description="the version that was taken out of service")

    def to_description(self) -> str:
        """The note as an alias's description; a long reason is cut to fit."""
        cut = len(self.reason)
        while True:
            part = self.model_copy(update={"reason": self.reason[:cut]})
            text = json.dumps({"note": part.model_dump(mode="json")}, separators=(",", ":"))
            if len(text) <= MOST_DESCRIPTION or cut == 0:
                return text
            cut -= 1

    @classmethod
    def from_description(cls, text: str) -> Self | None:
        """The note in a description, or None."""
        return _read(cls, "note", text)


def _read(kind: type[_Read], key: str, text: str) -> _Read | None:
    try:
        return kind.model_validate(json.loads(text)[key])
    except (ValueError, ValidationError, TypeError, KeyError):
        return None

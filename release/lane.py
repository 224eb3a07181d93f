"""The values of the production lane: who wants to move production, who does, what holds it."""

from enum import IntEnum

from pydantic import AwareDatetime, Field

from release.message import Message
from release.promotion import InboxRecord
from release.windows import Windows

MOST_NAME, MOST_TEXT = 100, 1000
"""As in release/decisions.py: what people write stands in the record, which is shown whole."""


class Priority(IntEnum):
    """Who goes first; a rollback does not even wait."""

    ROLLBACK = 0
    HOTFIX = 1
    NORMAL = 2


class Claim(Message):
    """One workflow's wish to move production alone."""

    workflow: str = Field(min_length=1)
    run: str = Field(description="its first run: a reset does not change it")
    ticket: int = Field(description="a workflow that comes back takes a higher one")
    what: str = Field(description="for people: 1.2.3, or a drill")
    sha: str = Field("", description="the commit that it brings; empty: none")
    priority: Priority = Priority.NORMAL
    since: AwareDatetime
    windows: Windows = Windows()
    moves: bool = Field(True, description="False: only looks at a production that stands still")

    def is_of(self, other: "Claim | Leave") -> bool:
        """Whether it is the same workflow's, not of another run."""
        return (self.workflow, self.run) == (other.workflow, other.run)


class Leave(Message):
    """A workflow moves production no more, or does not want to: also by any lower ticket."""

    workflow: str
    run: str
    ticket: int


class Says(Message):
    """What the lane says to one workflow of its claim."""

    run: str
    ticket: int
    granted: bool
    text: str = Field("", description="its place, and what it waits for")


class FreezeLane(Message):
    """Nothing but rollbacks gets into production, until a time or until it is lifted."""

    by: str = Field(min_length=1, max_length=MOST_NAME)
    reason: str = Field(min_length=1, max_length=MOST_TEXT)
    until: AwareDatetime | None = None


class UnfreezeLane(Message):
    """The freeze is lifted."""

    by: str = Field(min_length=1, max_length=MOST_NAME)
    reason: str = Field(min_length=1, max_length=MOST_TEXT)


class Lane(Message):
    """A service's lane as it stands; all that continue-as-new has to carry."""

    service: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    begun: bool = Field(False, description="it was looked who moves production already")
    holders: tuple[Claim, ...] = Field(
        (), description="move production: one that was let in, and any rollback"
    )
    queue: tuple[Claim, ...] = Field((), description="in the order in which they are let in")
    left: tuple[Leave, ...] = Field((), description="the last, so that none comes back late")
    freeze: FreezeLane | None = None
    records: tuple[InboxRecord, ...] = Field((), description="the last messages and what came")


class Waiting(Message):
    """One that waits, as people see it."""

    claim: Claim
    text: str


class LaneStatus(Message):
    """The answer of the lane's `status` query."""

    lane: Lane
    waiting: tuple[Waiting, ...]


def lane_id(service: str) -> str:
    """The workflow id of a service's lane."""
    return f"lane/{service}"

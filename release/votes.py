"""Votes on a release, and what its roles still need."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from release.message import Message


class Proof(StrEnum):
    """By what it is known whose word a vote is."""

    CLAIM = "claimed, not proved"
    CODE = "one-time code"
    GITHUB = "GitHub review"


class Vote(Message):
    """One approver's yes."""

    approver: str
    at: datetime
    proof: Proof
    comment: str = ""
    digest: str = Field("", description="evidence digest it was given for; empty: before asked")
    link: str = ""


class RoleStanding(Message):
    """What a role still needs."""

    role: str
    needed: int
    people: tuple[str, ...]
    approved_by: tuple[str, ...] = ()

    @property
    def is_filled(self) -> bool:
        """Whether enough of its people agreed."""
        return len(self.approved_by) >= self.needed

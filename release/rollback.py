"""The values of a manual rollback."""

from pydantic import AwareDatetime, Field

from release.message import Message
from release.policy import Policy
from release.promotion import AliasState


class AliasTarget(Message):
    """All traffic of one alias on one version."""

    function: str
    alias: str
    version: str = Field(description="empty in a request: Lambda has none of the release any more")


class Source(Message):
    """A release as git has it: enough to build and to publish it again, the same bytes."""

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    bucket: str
    folders: dict[str, str] = Field(description="function's full name → its folder in the commit")


class Undone(Message):
    """A release that went out of service, to be quarantined."""

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    reason: str
    at: AwareDatetime | None = Field(None, description="when, if not by this rollback")
    table: str = Field(description="the environment's table")
    number: str = Field("", description="the API's Lambda version that ran it")


class RollbackRequest(Message):
    """Production back to an earlier release."""

    service: str
    release: str = Field(description="the release's version and commit, for people")
    targets: tuple[AliasTarget, ...] = Field(min_length=1, description="the API's first")
    requested_by: str
    reason: str
    source: Source | None = Field(None, description="for what Lambda has no more, if git has it")
    undone: tuple[Undone, ...] = ()
    policy: Policy | None = Field(None, description="whom to tell, and where to keep the packet")
    table: str = Field("", description="production's, for the record")
    outcome: str = Field("rolled back by hand", description="what the release it undoes was")


class RollbackResult(Message):
    """The aliases as they are now; a function that could not be moved stands in `failures`."""

    aliases: tuple[AliasState, ...]
    failures: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = Field((), description="commits that stay out from now on")
    warnings: tuple[str, ...] = ()

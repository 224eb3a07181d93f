"""The values of a manual rollback."""

from pydantic import Field

from release.message import Message
from release.promotion import AliasState


class AliasTarget(Message):
    """All traffic of one alias on one version."""

    function: str
    alias: str
    version: str


class RollbackRequest(Message):
    """Production back to an earlier release."""

    service: str
    release: str = Field(description="the release's version and commit, for people")
    targets: tuple[AliasTarget, ...] = Field(min_length=1)
    requested_by: str
    reason: str


class RollbackResult(Message):
    """The aliases as they are now; a function that could not be moved stands in `failures`."""

    aliases: tuple[AliasState, ...]
    failures: tuple[str, ...] = ()

"""The values of the record: what is to be kept of a promotion that has ended, and what was."""

from pydantic import Field

from release.message import Message
from release.promotion import Outcome, PromotionRequest, PromotionStatus

QUARANTINE = "quarantine"
"""Kind of the promotion's own note that its commit could not be quarantined."""


class RecordRequest(Message):
    """Everything that is known of a promotion at its end."""

    promotion: PromotionRequest
    status: PromotionStatus
    run_id: str = Field(description="of the promotion in Temporal: an id may run again")
    address: str = Field("", description="the promotion's page in the Temporal UI")

    @property
    def workflow_id(self) -> str:
        """One record per run of a promotion."""
        kind, _, rest = self.status.workflow_id.partition("/")
        assert kind == "promotion", kind  # noqa: S101  its own ids begin so
        return f"record/{rest}/{self.run}"

    @property
    def run(self) -> str:
        """Tells the runs of one commit apart: a run id's end, for it begins with the time."""
        return self.run_id[-8:]

    @property
    def is_live(self) -> bool:
        """Whether production serves the new version."""
        return self.status.outcome is Outcome.COMPLETED

    @property
    def went_back(self) -> bool:
        """Whether users may have met the new version, and no longer do."""
        return bool(self.status.steps) and not self.is_live


class Kept(Message):
    """What became of one part of the record."""

    what: str = Field(description="for people: deployment record, tag v1.2.3, …")
    done: bool
    text: str = Field(description="where it is; or why there is none, and what to do")


class RecordResult(Message):
    """Every part of the record, in the order of its writing."""

    kept: tuple[Kept, ...] = ()

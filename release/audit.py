"""The audit of a promotion: everything that happened, as values that can be shown or kept."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from release.checklist import ItemState
from release.message import Message
from release.promotion import Artifact, StepJudgement
from release.verdict import CheckResult
from release.votes import RoleStanding, Vote


class Span(Message):
    """A stage of the diagram, from when to when; not ended: it is in it."""

    stage: str
    begun: datetime
    ended: datetime | None = None


class Deed(Message):
    """One thing that was done for the promotion: an activity, with its retries."""

    name: str
    summary: str = Field("", description="what it was for, as the workflow named it")
    begun: datetime
    ended: datetime | None = None
    attempts: int = 1
    failure: str = ""


class Checked(Message):
    """A check as it was measured, at one of the places where that is done."""

    at: datetime
    place: str
    result: CheckResult


class Rung(Message):
    """One weight: how long, what was seen, and the conclusion."""

    weight: float
    begun: datetime
    ended: datetime | None = None
    is_pause: bool = False
    judgement: StepJudgement | None = None
    failure: str = ""


class Share(Message):
    """From this moment on the new version had this share of production's traffic."""

    at: datetime
    weight: float


class Fate(StrEnum):
    """What became of a message."""

    APPLIED = "applied"
    REFUSED = "refused"
    UNKNOWN = "not said"


class Said(Message):
    """A message that reached the promotion, or a note that it made itself."""

    at: datetime
    door: str = Field(description="signal, update, cancel; or note, which is the system's own")
    kind: str
    by: str
    fate: Fate
    text: str = Field("", description="what was said; of a refused one why it was refused")
    payload: dict[str, Any] = Field({}, description="as it was sent, without any one-time code")


class StackChange(Message):
    """What a release was to change of one stack, and whether it did."""

    stack: str
    changes: tuple[str, ...]
    ended: datetime | None = Field(None, description="when CloudFormation was through with it")
    failure: str = ""


class Audit(Message):
    """One run of a promotion, whole."""

    workflow_id: str
    run_id: str
    service: str
    sha: str
    version: str
    running_version: str
    requested_by: str
    changes: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    clock_factor: float = 1
    policy: dict[str, Any] = Field(description="as it was frozen into the request")
    begun: datetime
    until: datetime = Field(description="of the last event that is known")
    outcome: str = Field("", description="empty while it runs")
    reason: str = ""
    closed_as: str = Field("", description="completed, failed, canceled, terminated, …")
    is_decided: bool = Field(
        False, description="whether the workflow's own account of its decisions is known"
    )
    baseline: str = Field("", description="Lambda version of the API before, and put back to")
    canary: str = Field("", description="Lambda version of the API that this release published")
    slow_ms: tuple[float, float] | None = Field(
        None, description="p90 and p99 of the old version's warm requests before"
    )
    digest: str = Field("", description="of the evidence that approvals are bound to")
    stages: tuple[Span, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    infrastructure: tuple[StackChange, ...] = ()
    checks: tuple[Checked, ...] = ()
    items: tuple[ItemState, ...] = ()
    quorum: tuple[RoleStanding, ...] = ()
    votes: tuple[Vote, ...] = ()
    rungs: tuple[Rung, ...] = ()
    shares: tuple[Share, ...] = ()
    said: tuple[Said, ...] = ()
    deeds: tuple[Deed, ...] = ()
    events: int

    @property
    def took(self) -> timedelta:
        """From the request to the last event."""
        return self.until - self.begun

    def decisions(self) -> list[dict[str, Any]]:
        """What people and the promotion decided, as an export's links say it."""
        votes = [{"decision": "approval", **vote.model_dump(mode="json")} for vote in self.votes]
        refused = [
            {"decision": "refusal", **said.model_dump(mode="json", exclude={"payload", "fate"})}
            for said in self.said
            if said.fate is Fate.REFUSED
        ]
        end = {"decision": "outcome", "outcome": self.outcome, "reason": self.reason}
        return [*votes, *refused, end | {"closed_as": self.closed_as}]

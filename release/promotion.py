"""The values of a promotion: what it is asked to do, what it knows, how it ended."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from release.message import Message
from release.policy import Policy


class Stage(StrEnum):
    """The boxes of the diagram, in order."""

    BUILD = "build"
    STAGING = "staging"
    TESTS = "integration tests"
    CHECKLIST = "checklist"
    APPROVAL = "approval"
    PRODUCTION = "production deploy"
    SHIFT = "traffic shift"
    BAKE = "monitor"
    ROLLBACK = "rollback"
    DONE = "done"


class Outcome(StrEnum):
    """How a promotion ended."""

    COMPLETED = "completed"
    NEEDS_FIX = "needs fix"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"
    FAILED = "failed"


class Verdict(StrEnum):
    """What a judgement concluded; inconclusive means that it could not measure.

    Not applicable: there is nothing to measure here, and the evidence says why.
    """

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "n/a"


class PromotionRequest(Message):
    """One commit on its way to production; everything a promotion decides by stands in it."""

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    requested_by: str = Field(min_length=1)
    changes: tuple[str, ...] = Field((), description="subjects of the commits since production")
    policy: Policy
    clock_factor: float = Field(
        1, ge=1, description="ladder and windows run this many times faster"
    )

    @property
    def workflow_id(self) -> str:
        """One promotion per commit: the id carries no clock and no randomness."""
        return promotion_id(self.policy.service, self.sha)


def promotion_id(service: str, sha: str) -> str:
    """The workflow id of a commit's promotion."""
    return f"promotion/{service}/{sha[:12]}"


class Artifact(Message):
    """A function's zip, built once; its digest is its name in S3."""

    function: str
    sha256: str = Field(description="hex digest of the zip")
    size_bytes: int

    @classmethod
    def of(cls, function: str, data: bytes) -> Self:
        """The artifact that a zip is."""
        digest = hashlib.sha256(data).hexdigest()
        return cls(function=function, sha256=digest, size_bytes=len(data))

    @property
    def key(self) -> str:
        """Where the zip lies in the artifact bucket."""
        return f"lambda/{self.sha256}.zip"


class AliasState(Message):
    """An alias as AWS holds it."""

    function: str
    alias: str
    version: str
    canary: str | None = Field(None, description="the version that gets `weight`, if any")
    weight: float = 0.0
    revision_id: str


class CheckResult(Message):
    """One checked statement, with the figures it rests on."""

    id: str
    text: str
    verdict: Verdict
    evidence: str = ""


class Counts(Message):
    """Requests that one version answered, and how many of them failed (5xx or function error)."""

    requests: int = 0
    failures: int = 0

    @property
    def error_rate(self) -> float:
        """Fraction of 1; nothing measured is 0."""
        return self.failures / self.requests if self.requests else 0.0


class StepJudgement(Message):
    """What was seen during one step of the ladder, and the conclusion."""

    verdict: Verdict
    reason: str
    canary: Counts = Counts()
    baseline: Counts = Counts()


class StepRecord(Message):
    """One rung as it happened."""

    weight: float
    started_at: datetime
    ended_at: datetime | None = None
    judgement: StepJudgement | None = None


class InboxRecord(Message):
    """A message a person sent, applied or refused: never ignored."""

    at: datetime
    kind: str
    by: str
    accepted: bool
    text: str


class PromotionStatus(Message):
    """Everything a person may ask of a promotion; the answer of its `status` query."""

    workflow_id: str
    service: str
    sha: str
    version: str
    requested_by: str
    stage: Stage
    stage_since: datetime
    outcome: Outcome | None = None
    reason: str = ""
    weight: float = 0.0
    baseline_version: str | None = None
    canary_version: str | None = None
    checks: tuple[CheckResult, ...] = ()
    waiting_for: tuple[str, ...] = Field((), description="manual items without a sign-off")
    ladder: tuple[float, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    next: str = Field("", description="what happens next, and when")
    deadline: datetime | None = None
    inbox: tuple[InboxRecord, ...] = ()


class PromotionResult(Message):
    """How a promotion ended, with the production alias as it was left."""

    outcome: Outcome
    reason: str
    sha: str
    version: str
    weight: float = Field(description="share of production traffic on the new version at the end")
    steps: tuple[StepRecord, ...] = ()

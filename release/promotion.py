"""The values of a promotion: what it is asked to do, what it knows, how it ended."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from release.change_set import InfrastructureStatus
from release.checklist import ItemState
from release.message import Message
from release.policy import Policy
from release.text import camel_case
from release.verdict import CheckResult, Verdict
from release.votes import RoleStanding, Vote


class Stage(StrEnum):
    """The boxes of the diagram, in order."""

    BUILD = "build"
    STAGING = "staging"
    TESTS = "integration tests"
    CHECKLIST = "checklist"
    APPROVAL = "approval"
    LANE = "production lane"
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
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"
    FAILED = "failed"


class PromotionRequest(Message):
    """One commit on its way to production; everything a promotion decides by stands in it."""

    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    requested_by: str = Field(min_length=1)
    changes: tuple[str, ...] = Field((), description="subjects of the commits since production")
    authors: tuple[str, ...] = Field(
        (), description="people who wrote them, as the roles name them"
    )
    running_version: str = Field("", description="what production runs when it is asked for")
    policy: Policy
    clock_factor: float = Field(
        1, ge=1, description="ladder and windows run this many times faster"
    )
    hotfix: str = Field("", description="why it goes before others in the lane; empty: it does not")

    @property
    def requester(self) -> str:
        """Who asked for it, as the roles name them: a GitHub login is its person."""
        return self.policy.approval.github.get(self.requested_by, self.requested_by)

    @property
    def is_major(self) -> bool:
        """Whether the version's first number rises: a breaking change."""
        running, new = self.running_version.partition(".")[0], self.version.partition(".")[0]
        return running.isdigit() and new.isdigit() and int(new) > int(running)

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


def artifact_parameter(function: str) -> str:
    """The parameter of a service's template that takes the digest of a function's first zip."""
    return f"{camel_case(function)}Artifact"


class AliasState(Message):
    """An alias as AWS holds it."""

    function: str
    alias: str
    version: str
    canary: str | None = Field(None, description="the version that gets `weight`, if any")
    weight: float = 0.0
    revision_id: str
    description: str = Field("", description="holds a lease or a note: release/lease.py")

    def serving(self, baseline: str, canary: str, weight: float) -> Self:
        """The alias with `weight` on the canary; 1, or one version twice, is that version whole."""
        whole = weight == 1 or baseline == canary
        return self.model_copy(
            update={
                "version": canary if whole else baseline,
                "canary": None if whole else canary,
                "weight": 0.0 if whole else weight,
            }
        )

    def share_of(self, version: str) -> float:
        """The version's share of the traffic."""
        if self.version == version:
            return 1 - self.weight
        return self.weight if self.canary == version else 0.0


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
    slow_canary: Counts = Field(
        Counts(), description="warm requests; `failures`: those slower than the old version's p90"
    )
    slow_baseline: Counts = Counts()
    evidence: float = Field(1, description="that the new version is worse; 100 is enough")
    step_back: bool = False
    compare: bool = Field(False, description="down to where both versions can be compared")


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
    tests: tuple[CheckResult, ...] = ()
    preflight: tuple[CheckResult, ...] = Field((), description="what a rollback will need")
    smoke: tuple[CheckResult, ...] = Field((), description="the new version, at weight 0")
    artifacts: dict[str, str] = Field({}, description="function → SHA-256 of its zip")
    staged_at: datetime | None = Field(None, description="from when on staging ran the commit")
    baseline: dict[str, str] = Field({}, description="function → the version served before")
    published: dict[str, str] = Field({}, description="function → its version in production")
    infrastructure: InfrastructureStatus | None = Field(
        None, description="where the policy names a template"
    )
    items: tuple[ItemState, ...] = Field((), description="both checklists, from when they begin")
    quorum: tuple[RoleStanding, ...] = ()
    votes: tuple[Vote, ...] = ()
    digest: str = Field("", description="of the evidence that approvals are bound to")
    request: str = Field("", description="the production deployment request, in Markdown")
    proof_needed: bool = Field(True, description="whether a claim of who one is does not count")
    report: str = Field("", description="after the end: what to mend, in Markdown")
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

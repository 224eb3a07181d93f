"""What the activities are asked, and what they answer: the values between workflow and effect."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from release.audit_chain import GENESIS
from release.channels import Channel
from release.checklist import ANY_SERVICE, ContractCase, Limits
from release.deployment import Deployment
from release.lane import Claim
from release.lease import Lease
from release.message import Message
from release.policy import Ci, Shift
from release.promotion import AliasState, StepJudgement
from release.sequential import SequentialTest
from release.verdict import CheckResult

# it becomes part of an address: no dots alone, nothing that ends a path
REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$"


class BuildInput(Message):
    """Build every function of one commit."""

    sha: str
    bucket: str
    sources: dict[str, str] = Field(description="function -> its folder in the repository")


class PublishInput(Message):
    """Publish a version of one function from an artifact that lies in S3."""

    function: str = Field(description="the Lambda function's full name")
    bucket: str
    sha256: str
    release_version: str
    git_sha: str


class AliasInput(Message):
    """One function's alias."""

    function: str
    alias: str


class ShiftInput(Message):
    """Send `weight` of the alias's traffic to `canary`, the rest to `baseline`."""

    baseline: str
    canary: str
    weight: float = Field(ge=0, le=1)
    expected: AliasState = Field(description="the alias as our last write left it")
    lease: Lease | None = Field(None, description="stands beside the weight; None ends one")


class RollbackInput(Message):
    """Put all traffic of one alias back on the baseline."""

    function: str
    alias: str
    baseline: str
    canary: str | None = Field(None, description="the only other version that may be overwritten")
    past_codedeploy: bool = Field(
        False,
        description="CodeDeploy rolled back to whatever it holds for good: overwrite that too",
    )


class AlarmsInput(Message):
    """The alarms of one environment, and the release's own on the canary's version."""

    service: str
    environment: str
    function: str
    canary: str
    period_seconds: int


class ArmInput(Message):
    """Arm the release's alarm, and say what production is like before traffic moves."""

    watched: AlarmsInput
    alias: str
    baseline: str


class Armed(Message):
    """What a release needs to know of production before traffic moves."""

    preexisting_alarms: tuple[str, ...] = Field((), description="red before the release began")
    requests_per_second: float | None = Field(None, description="in the last hour's busiest minute")
    slow_ms: tuple[float, float] | None = Field(
        None, description="p90 and p99 of the old version's warm requests in its last day"
    )


class Progress(Message):
    """How far the judgement of a release has come; travels from rung to rung."""

    test: SequentialTest = Field(default_factory=SequentialTest)
    answers_until: AwareDatetime = Field(
        description="end of the last judged bucket of the fast path"
    )
    crashes_until: AwareDatetime = Field(description="the same for Lambda's own metrics")
    weights: tuple[tuple[AwareDatetime, float], ...] = Field((), description="(since, weight)")
    preexisting_alarms: tuple[str, ...] = ()

    def weighed(self, since: datetime, weight: float) -> "Progress":
        """From `since` on the canary has this weight; what is read late is no older than five."""
        weights = (*self.weights[-4:], (since, weight))
        return self.model_copy(update={"weights": weights})


class StepInput(Message):
    """Move to a weight, and watch it until it is judged."""

    watched: AlarmsInput
    expected: AliasState
    baseline: str
    weight: float
    next_weight: float | None = Field(None, description="None at the top, and while it is held")
    min_duration: timedelta
    is_pause: bool = False
    can_compare: bool = Field(False, description="an alarm may first be answered by comparing")
    is_comparison: bool = Field(False, description="an alarm is: its time is not yet a verdict")
    since: AwareDatetime
    shift: Shift
    progress: Progress
    slow_ms: tuple[float, float] | None = None
    lease: Lease
    bucket_seconds: int
    crash_bucket_seconds: int


class DeploymentInput(Message):
    """See to it that CodeDeploy has ended what a promotion began."""

    service: str
    environment: str
    promotion: str = Field(description="the deployment's description: <workflow id>/<run id>")


class StepResult(Message):
    """How a step ended, and what the next one goes on with."""

    judgement: StepJudgement
    alias: AliasState
    progress: Progress


class CheckRunsInput(Message):
    """Read the checks that GitHub has of one commit."""

    repository: str = Field(pattern=REPOSITORY, description="owner/name")
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")


class ReviewInput(Message):
    """Read GitHub's review of one deployment of one commit."""

    repository: str = Field(pattern=REPOSITORY, description="owner/name")
    run_id: int = Field(gt=0)
    environment: str = Field(min_length=1)
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    workflow: str | None = Field(
        None, description="the run's file, .github/workflows/promote.yml; None takes any"
    )


class StagingInput(Message):
    """Check the commit as it runs in staging."""

    service: str
    environment: str
    sha: str
    cases: tuple[ContractCase, ...] = ANY_SERVICE


class ChecksInput(Message):
    """Measure the named checks of the commit as it runs in staging."""

    service: str
    environment: str
    sha: str
    version: str
    checks: tuple[str, ...] = Field(description="names of the checks to measure, in order")
    functions: dict[str, str] = Field(description="function → its full name in the environment")
    api: str = Field(description="the function behind the HTTP API, a key of `functions`")
    alias: str
    table: str
    limits: Limits
    alarm_period_seconds: int


class WatchInput(ChecksInput):
    """Look at production after a release, until a time or until harm is seen twice in a row."""

    published: dict[str, str] = Field(description="function → the release's version")
    baseline: dict[str, str] = Field(description="function → the version before")
    released_at: AwareDatetime
    until: AwareDatetime = Field(description="at least one look is made, however late it is")
    span: timedelta = Field(description="how far back a look looks; never before the release")
    look_every: timedelta
    confirm_after: timedelta
    red_before: tuple[str, ...] = Field((), description="alarms that were red before the release")


class WatchSeen(Message):
    """What the last look saw, check by check; a failed one failed twice in a row."""

    results: tuple[CheckResult, ...] = ()
    at: AwareDatetime
    looks: int = 0
    red_before: tuple[str, ...] = Field((), description="of those the alarms that still are red")
    superseded: str = Field("", description="what the alias serves instead of the release")
    release_before: str = Field("", description="version and commit to go back to, where known")


class ProjectChecksInput(Message):
    """Read, or run, what the project itself says of the commit."""

    sha: str
    checks: tuple[str, ...] = Field(description="tests, coverage, lint, types, security-scan, …")
    ci: Ci
    coverage_percent: int


class SupersedeInput(Message):
    """Tell older promotions of the service that wait."""

    service: str
    promotion: str = Field(description="the newer promotion's id")
    sha: str
    version: str


class Admitted(Message):
    """What the worker's profile says of approvals."""

    accepts_claims: bool = Field(description="a name alone counts: the laptop's profile only")
    temporal_ui: str = Field("", description="where people look at promotions")


class CodeInput(Message):
    """Check the one-time code that came with an approval."""

    service: str
    environment: str = Field(description="the one that is approved for: prod")
    table: str = Field(description="the environment's table")
    approver: str
    code: str = Field(repr=False)
    at: AwareDatetime = Field(description="when the message arrived, by the workflow's time")
    attempt: str = Field(
        description="the same for every retry and for nothing else: <workflow>/<run>/<number>"
    )


class NoticeInput(Message):
    """Tell every channel one thing."""

    channels: tuple[Channel, ...]
    event: str = Field(description="what programs tell notices apart by")
    service: str
    sha: str
    version: str
    promotion: str = Field(description="the promotion's id")
    title: str
    markdown: str
    url: str = Field("", description="where to look and to act")
    at: AwareDatetime


class JoinInput(Message):
    """Take a place in a service's production lane."""

    service: str
    claim: Claim


class CompareInput(Message):
    """Say which of these commits contain which."""

    sha: str
    others: tuple[str, ...]


class Compared(Message):
    """The others that a commit contains, and those that contain it."""

    older: tuple[str, ...]
    newer: tuple[str, ...]


class ClaimsInput(Message):
    """Look after the workflows of a service's lane."""

    service: str
    claims: tuple[Claim, ...] = ()


class PreflightInput(Message):
    """Ask whether everything that a rollback will need is there."""

    service: str
    environment: str
    functions: dict[str, str] = Field(description="function → its full name in the environment")
    api: str = Field(description="the function that takes the shifted traffic, a key of functions")
    alias: str
    alarm_period_seconds: int
    sha: str = Field("", description="the commit to be released; empty: only the way back")
    expected: dict[str, str] = Field(
        {}, description="function → the version its alias has to serve; one left out may be any"
    )
    dry_runs: tuple[str, ...] = Field((), description="functions that can run without an effect")


class SmokeInput(Message):
    """Invoke the new versions by their numbers, before any user does."""

    service: str
    environment: str
    functions: dict[str, str] = Field(description="function → its full name in the environment")
    versions: dict[str, str] = Field(description="function → the version to invoke")
    api: str = Field(description="the function behind the HTTP API, a key of functions")
    sha: str = Field(description="the commit that the versions were built from")
    cases: tuple[ContractCase, ...] = ANY_SERVICE
    dry_runs: tuple[str, ...] = Field((), description="functions that can run without an effect")


class QuarantineInput(Message):
    """Keep a commit that went back out of production."""

    table: str = Field(description="the environment's table")
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    promotion: str = Field(description="the promotion's id")
    reason: str
    at: AwareDatetime = Field(description="when it went back, by the workflow's time")


class QuarantineCheckInput(Message):
    """Refuse the commit if something quarantined is in it."""

    table: str = Field(description="the environment's table")
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")


class ReconcileInput(Message):
    """Read what interventions left at production's aliases."""

    table: str = Field(description="the environment's table")
    aliases: tuple[AliasInput, ...]


class NoopInput(Message):
    """Publish a version that runs as the baseline does."""

    function: str
    baseline: str
    bucket: str
    label: str = Field(description="the drill's own: the same for every retry")


class RaiseInput(Message):
    """Raise the canary's alarm by hand, once the alias sends the canary its weight."""

    watched: AlarmsInput
    alias: str
    reason: str


class DrillsInput(Message):
    """Ask Temporal about the drills, or the promotions, of a service."""

    service: str
    environment: str = Field(description="where it is drilled")


class AuditInput(Message):
    """Keep the history of one run of a workflow, once it has closed."""

    workflow_id: str
    run_id: str
    bucket: str
    table: str = Field(description="the environment's table")
    genesis: str = Field(GENESIS, description="head of the export that this one belongs behind")


class DeploymentsInput(Message):
    """What an environment's record is to learn, in any order and any number of times."""

    table: str
    environment: str
    deployments: tuple[Deployment, ...] = Field(min_length=1)


class PlanInput(Message):
    """See what the commit's template would change of an environment's stack."""

    sha: str
    template: str = Field(description="its path in the repository")
    stack: str
    change_set: str = Field(description="its name; a retry finds it by this")


class ChangeSetInput(Message):
    """A change set of a stack, by its name."""

    stack: str
    change_set: str

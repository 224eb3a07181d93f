"""The activities that move no traffic: they take a while, may fail, and say what they did."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity

from activities.inputs import (
    Admitted,
    AuditInput,
    BuildInput,
    ChangeSetInput,
    CheckRunsInput,
    ChecksInput,
    CodeInput,
    DeploymentsInput,
    DrillsInput,
    NoticeInput,
    PlanInput,
    PreflightInput,
    ProjectChecksInput,
    QuarantineCheckInput,
    QuarantineInput,
    ReconcileInput,
    SmokeInput,
    StagingInput,
    SupersedeInput,
    WatchInput,
    WatchSeen,
)
from activities.release_inputs import ChangelogInput, IssueInput, TagInput
from release.audit_export import AuditRecord
from release.channels import Delivery, DeliveryOutcome
from release.check_runs import CheckRuns
from release.deployment import Deployment
from release.drill import DrillResult
from release.incident import Facts, Stored
from release.infrastructure import InfrastructurePlan
from release.lease import Note
from release.promotion import Artifact, PromotionRequest
from release.proof import CodeResult, CodeVerdict
from release.verdict import CheckResult, Verdict
from tests.green_checks import green_checks
from tests.simulation.clockwork import Clockwork
from tests.simulation.cloud import Client
from tests.simulation.plan import Plan

_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Places:
    """Where effects leave something: told once or ten times, one key is one thing."""

    clock: Clockwork
    kept: list[tuple[str, str]] = field(default_factory=list)  # (place, key)
    smoked_at: float | None = None
    accepted_codes: list[tuple[str, str, float]] = field(default_factory=list)

    def keep(self, by: str, place: str, key: str) -> None:
        """A backend operation: it lies there now."""
        self.kept.append((place, key))

    def touch(self, by: str) -> None:
        """A backend operation that changes nothing."""


@dataclass
class Scripted:
    """One run's."""

    clock: Clockwork
    plan: Plan
    places: Places
    weather: object

    def _use(self, service: str, least: float = 0.1, most: float = 3.0) -> None:
        self.clock.sleep(self.clock.delay(least, most))
        self._client(service).touch()

    def _keep(self, service: str, place: str, key: str) -> None:
        self._client(service).keep(place=place, key=key)

    def _client(self, service: str) -> Client:
        return Client(self.clock, self.weather, service, self.places)  # type: ignore[arg-type]

    @activity.defn
    def admit_request(self, request: PromotionRequest) -> Admitted:
        self._use("git", 0.05, 1)
        return Admitted(
            accepts_claims=not self.plan.needs_codes, temporal_ui="http://127.0.0.1:8233"
        )

    @activity.defn
    def reconcile(self, order: ReconcileInput) -> list[Note]:
        self._use("dynamodb")
        return []

    @activity.defn
    def refuse_quarantined(self, order: QuarantineCheckInput) -> None:
        self._use("dynamodb")

    @activity.defn
    def build_artifacts(self, order: BuildInput) -> list[Artifact]:
        for _ in range(5):
            self.clock.sleep(self.clock.delay(1, 6))
            activity.heartbeat()
        self._use("s3")
        return [Artifact(function=f, sha256="ab" * 32, size_bytes=1) for f in order.sources]

    @activity.defn
    def plan_infrastructure(self, order: PlanInput) -> InfrastructurePlan:
        self._use("cloudformation")
        return InfrastructurePlan(stack=order.stack, change_set="", changes=())

    @activity.defn
    def execute_infrastructure(self, order: ChangeSetInput) -> None:
        self._use("cloudformation")

    @activity.defn
    def discard_infrastructure(self, order: ChangeSetInput) -> None:
        self._use("cloudformation")

    @activity.defn
    def run_integration_tests(self, order: StagingInput) -> list[CheckResult]:
        self.clock.sleep(self.clock.delay(1, 20))
        return [self._result("tests")]

    @activity.defn
    def check_staging(self, order: ChecksInput) -> list[CheckResult]:
        self.clock.sleep(self.clock.delay(1, 25))
        return [self._result(name) for name in order.checks]

    @activity.defn
    def run_project_checks(self, order: ProjectChecksInput) -> list[CheckResult]:
        self.clock.sleep(self.clock.delay(1, 25))
        return [self._result(name) for name in order.checks]

    @activity.defn
    def read_check_runs(self, order: CheckRunsInput) -> CheckRuns:
        self._use("github")
        return green_checks(order.sha)

    @activity.defn
    def check_code(self, order: CodeInput) -> CodeResult:
        """As the real one: a code counts once, and for its attempt's retries."""
        self._use("dynamodb", 0.05, 8)
        is_right = order.code == f"code of {order.approver}"
        if is_right:
            self.places.accepted_codes.append((order.approver, order.attempt, self.clock.now))
        return CodeResult(
            verdict=CodeVerdict.ACCEPTED if is_right else CodeVerdict.WRONG,
            text="" if is_right else "that code is wrong",
        )

    @activity.defn
    def notify(self, order: NoticeInput) -> list[Delivery]:
        self._use("slack", 0.05, 5)
        self._keep("slack", f"notice {order.event}", f"{order.promotion} {order.at}")
        done = DeliveryOutcome.DELIVERED
        return [Delivery(channel=channel.name, outcome=done) for channel in order.channels]

    @activity.defn
    def supersede_older(self, order: SupersedeInput) -> list[str]:
        self._use("temporal", 0.05, 2)
        return []

    @activity.defn
    def find_last_drill(self, order: DrillsInput) -> DrillResult | None:
        self._use("temporal", 0.05, 2)
        return None

    @activity.defn
    def preflight(self, order: PreflightInput) -> list[CheckResult]:
        self._use("lambda")
        return [self._result("preflight")]

    @activity.defn
    def smoke(self, order: SmokeInput) -> list[CheckResult]:
        self._use("lambda")
        self.places.smoked_at = self.clock.now
        return [
            CheckResult(id="smoke", text="smoke", verdict=Verdict(self.plan.smoke), evidence="seen")
        ]

    @activity.defn
    def quarantine(self, order: QuarantineInput) -> None:
        self._keep("dynamodb", "quarantine", f"{order.sha} {order.promotion}")

    @activity.defn
    def record_deployments(self, order: DeploymentsInput) -> list[Deployment]:
        for one in order.deployments:
            key = f"{one.environment} {one.version} {one.git_commit}"
            self._keep("dynamodb", "deployment", key)
        return list(order.deployments)

    @activity.defn
    def write_incident(self, facts: Facts) -> Stored:
        self._keep("s3", "incident", facts.key)
        return Stored(address=f"s3://{facts.bucket}/{facts.key}.md", title="back", head="head")

    @activity.defn
    def open_issue(self, order: IssueInput) -> str:
        self._keep("github", "issue", order.marker)
        return "https://github.example/issues/1"

    @activity.defn
    def tag_release(self, order: TagInput) -> str:
        self._keep("git", "tag", f"{order.version} {order.sha}")
        return "tagged"

    @activity.defn
    def write_changelog(self, order: ChangelogInput) -> str:
        self._keep("git", "changelog", order.version)
        return "written"

    @activity.defn
    def export_audit(self, order: AuditInput) -> AuditRecord:
        self._keep("s3", "audit", f"{order.workflow_id} {order.run_id}")
        return AuditRecord(
            workflow_id=order.workflow_id,
            run_id=order.run_id,
            head="0" * 64,
            key="audit",
            events=1,
            at=_AT,
        )

    @activity.defn
    def watch_production(self, order: WatchInput) -> WatchSeen:
        while (left := order.until.timestamp() - self.clock.now) > 0:
            self.clock.sleep(min(left, 20), wakes=True)
            activity.heartbeat()
        results = tuple(self._result(name) for name in order.checks)
        return WatchSeen(results=results, at=_AT, looks=1, release_before=f"1.2.2 {'c' * 40}")

    def _result(self, name: str) -> CheckResult:
        verdict = Verdict.PASSED
        if name in self.plan.failed:
            verdict = Verdict.FAILED
        elif name in self.plan.inconclusive:
            verdict = Verdict.INCONCLUSIVE
        return CheckResult(id=name, text=f"check {name}", verdict=verdict, evidence="seen")

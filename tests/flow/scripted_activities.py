"""What a promotion asks of the world beside its aliases: each test says the answers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.deployments import Deployments
from activities.inputs import (
    Admitted,
    AlarmsInput,
    Armed,
    ArmInput,
    AuditInput,
    BuildInput,
    ChangeSetInput,
    CheckRunsInput,
    ChecksInput,
    ClaimsInput,
    CodeInput,
    Compared,
    CompareInput,
    DeploymentInput,
    DeploymentsInput,
    DrillsInput,
    NoticeInput,
    PlanInput,
    PreflightInput,
    ProjectChecksInput,
    QuarantineCheckInput,
    QuarantineInput,
    ReconcileInput,
    ReviewInput,
    ShiftInput,
    SmokeInput,
    StagingInput,
    StepInput,
    StepResult,
    SupersedeInput,
    WatchInput,
    WatchSeen,
)
from activities.release_inputs import ChangelogInput, IssueInput, TagInput
from activities.traffic import Traffic
from release.audit_export import AuditRecord
from release.change_set import InfrastructurePlan, ResourceChange
from release.channels import Channel, Delivery, DeliveryOutcome
from release.check_runs import CheckRuns
from release.deployment import Deployment
from release.drill import DrillResult
from release.github import EnvironmentReview
from release.incident import Facts, Stored
from release.lane import Claim
from release.lease import Note
from release.promotion import (
    Artifact,
    Counts,
    PromotionRequest,
    StepJudgement,
)
from release.proof import CodeResult, CodeVerdict
from release.verdict import CheckResult, Verdict
from tests.green_checks import green_checks


class Script:
    """What the measuring activities of one test answer."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.build_error: Exception | None = None
        self.test_verdict = Verdict.PASSED
        self.checks: Callable[[str], Verdict] = lambda name: Verdict.PASSED
        self.measured: list[str] = []
        self.accepts_claims = True
        self.codes: Callable[[CodeInput], CodeResult] = lambda order: CodeResult(
            verdict=CodeVerdict.ACCEPTED if order.code == "123456" else CodeVerdict.WRONG,
            text="" if order.code == "123456" else "that code is wrong",
        )
        self.proofs: list[CodeInput] = []
        self.review: Callable[[ReviewInput], EnvironmentReview] | None = None
        self.notices: list[NoticeInput] = []
        self.deliver: Callable[[Channel], str] = lambda channel: ""
        self.incidents: list[Facts] = []
        self.bucket_problem = ""
        self.issues: list[IssueInput] = []
        self.hang_on = ""
        self.hung = asyncio.Event()
        self.superseding: list[SupersedeInput] = []
        self.moving: tuple[Claim, ...] = ()
        self.compare: Callable[[CompareInput], Compared] = lambda _: Compared(older=(), newer=())
        self.judge: Callable[[StepInput], StepJudgement] = lambda _: self.judgement(Verdict.PASSED)
        self.hold_at: Callable[[StepInput], bool] = lambda _: False
        self.holding = asyncio.Event()
        self.release = asyncio.Event()
        self.armed: list[str] = []
        self.preflights: list[list[CheckResult]] = []
        self.smoke_verdict = Verdict.PASSED
        self.smoked: list[SmokeInput] = []
        self.quarantined: dict[str, str] = {}
        self.quarantine_error: Exception | None = None
        self.table_down_for = 0  # calls
        self.notes: list[Note] = []
        self.by_codedeploy: Callable[[StepInput], None] = lambda _: None
        self.end_by_codedeploy: Callable[[DeploymentInput], None] = lambda _: None
        self.ended: list[str] = []
        self.last_drill: DrillResult | None = None
        self.drills_asked_for: list[DrillsInput] = []
        self.watches: list[WatchInput] = []
        self.watch: Callable[[WatchInput], WatchSeen] = self.seen
        self.export: Callable[[AuditInput], Awaitable[AuditRecord]] | None = None
        self.recorded: list[DeploymentsInput] = []
        self.deployments: Deployments | None = None
        self.stack_changes: Callable[[PlanInput], tuple[ResourceChange, ...]] = lambda _: ()
        self.stack_updates: list[tuple[str, dict[str, float]]] = []
        self.stack_error: Callable[[ChangeSetInput], Exception | None] = lambda _: None
        self.discarded: list[str] = []

    @staticmethod
    def judgement(verdict: Verdict, reason: str = "seen") -> StepJudgement:
        counts = Counts(requests=100, failures=0 if verdict is Verdict.PASSED else 50)
        return StepJudgement(verdict=verdict, reason=reason, canary=counts, baseline=Counts())

    @activity.defn
    async def build_artifacts(self, order: BuildInput) -> list[Artifact]:
        if self.build_error:
            raise self.build_error
        return [Artifact(function=f, sha256="ab" * 32, size_bytes=1) for f in order.sources]

    @activity.defn
    async def plan_infrastructure(self, order: PlanInput) -> InfrastructurePlan:
        changes = self.stack_changes(order)
        name = order.change_set if changes else ""
        return InfrastructurePlan(stack=order.stack, change_set=name, changes=changes)

    @activity.defn
    async def execute_infrastructure(self, order: ChangeSetInput) -> None:
        """What production's API serves at that moment stands beside it."""
        error = self.stack_error(order)
        if error:
            raise error
        alias = self.traffic.read("crypto-watch-api-prod", "live")
        self.stack_updates.append((order.stack, {alias.version: 1 - alias.weight}))

    @activity.defn
    async def discard_infrastructure(self, order: ChangeSetInput) -> None:
        self.discarded.append(order.stack)

    @activity.defn
    async def run_integration_tests(self, order: StagingInput) -> list[CheckResult]:
        return [CheckResult(id="t", text="a test", verdict=self.test_verdict, evidence="seen")]

    @activity.defn
    async def admit_request(self, request: PromotionRequest) -> Admitted:
        # an address that holds the namespace stands in what approvers are shown
        ui = "http://127.0.0.1:8233"
        return Admitted(accepts_claims=self.accepts_claims, temporal_ui=ui)

    @activity.defn
    async def check_staging(self, order: ChecksInput) -> list[CheckResult]:
        return [self._check(name) for name in order.checks]

    @activity.defn
    async def run_project_checks(self, order: ProjectChecksInput) -> list[CheckResult]:
        return [self._check(name) for name in order.checks]

    @activity.defn
    async def read_check_runs(self, order: CheckRunsInput) -> CheckRuns:
        return green_checks(order.sha)

    def _check(self, name: str) -> CheckResult:
        self.measured.append(name)
        verdict = self.checks(name)
        return CheckResult(id=name, text=f"check {name}", verdict=verdict, evidence="seen")

    @activity.defn
    async def check_code(self, order: CodeInput) -> CodeResult:
        self.proofs.append(order)
        return self.codes(order)

    @activity.defn
    async def read_environment_review(self, order: ReviewInput) -> EnvironmentReview:
        assert self.review is not None
        return self.review(order)

    @activity.defn
    async def notify(self, order: NoticeInput) -> list[Delivery]:
        self.notices.append(order)
        if order.event == self.hang_on:
            self.hung.set()
            await self.release.wait()
        reasons = {channel.name: self.deliver(channel) for channel in order.channels}
        outcomes = {True: DeliveryOutcome.UNREACHABLE, False: DeliveryOutcome.DELIVERED}
        return [
            Delivery(channel=name, outcome=outcomes[bool(reason)], reason=reason)
            for name, reason in reasons.items()
        ]

    @activity.defn
    async def write_incident(self, facts: Facts) -> Stored:
        self.incidents.append(facts)
        address = "" if self.bucket_problem else f"s3://{facts.bucket}/{facts.key}.md"
        return Stored(address=address, problem=self.bucket_problem, title="went back", head="head")

    @activity.defn
    async def open_issue(self, order: IssueInput) -> str:
        self.issues.append(order)
        return "https://github.example/issues/1"

    @activity.defn
    async def supersede_older(self, order: SupersedeInput) -> list[str]:
        self.superseding.append(order)
        return []

    @activity.defn
    async def find_moving(self, order: ClaimsInput) -> tuple[Claim, ...]:
        return self.moving

    @activity.defn
    async def compare_commits(self, order: CompareInput) -> Compared:
        return self.compare(order)

    @activity.defn
    async def preflight(self, order: PreflightInput) -> list[CheckResult]:
        return self.preflights.pop(0) if self.preflights else [self._seen("preflight")]

    @activity.defn
    async def smoke(self, order: SmokeInput) -> list[CheckResult]:
        self.smoked.append(order)
        return [self._seen("smoke", self.smoke_verdict)]

    @staticmethod
    def _seen(name: str, verdict: Verdict = Verdict.PASSED) -> CheckResult:
        return CheckResult(id=name, text=f"check {name}", verdict=verdict, evidence="seen")

    @activity.defn
    async def quarantine(self, order: QuarantineInput) -> None:
        if self.quarantine_error:
            error, self.quarantine_error = self.quarantine_error, None
            raise error
        self.quarantined[order.sha] = order.reason

    @activity.defn
    async def refuse_quarantined(self, order: QuarantineCheckInput) -> None:
        if self.table_down_for:
            self.table_down_for -= 1
            raise RuntimeError("the table does not answer")
        if order.sha in self.quarantined:
            raise ApplicationError("quarantined", type="Quarantined", non_retryable=True)

    @activity.defn
    async def reconcile(self, order: ReconcileInput) -> list[Note]:
        return self.notes

    @activity.defn
    async def find_last_drill(self, order: DrillsInput) -> DrillResult | None:
        self.drills_asked_for.append(order)
        return self.last_drill

    @activity.defn
    async def watch_production(self, order: WatchInput) -> WatchSeen:
        self.watches.append(order)
        return self.watch(order)

    @staticmethod
    def seen(order: WatchInput, **verdicts: Verdict) -> WatchSeen:
        """A look at production: all passed, but for the checks that are given."""
        results = tuple(
            Script._seen(name, verdicts.get(name.replace("-", "_"), Verdict.PASSED))
            for name in order.checks
        )
        return WatchSeen(
            results=results,
            at=datetime(2026, 1, 1, tzinfo=UTC),
            looks=1,
            release_before=f"1.2.2 {'c' * 40}",
        )

    @activity.defn
    async def export_audit(self, order: AuditInput) -> AuditRecord:
        if self.export is not None:
            return await self.export(order)
        return AuditRecord(
            workflow_id=order.workflow_id,
            run_id=order.run_id,
            head="0" * 64,
            key="audit",
            events=1,
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    @activity.defn
    async def record_deployments(self, order: DeploymentsInput) -> list[Deployment]:
        """What the record was told; with a table the real one answers."""
        self.recorded.append(order)
        if self.deployments is None:
            return list(order.deployments)
        return await asyncio.to_thread(self.deployments.record_deployments, order)

    @activity.defn
    async def arm_alarms(self, order: ArmInput) -> Armed:
        self.armed.append(order.watched.canary)
        return Armed()

    @activity.defn
    async def disarm_alarms(self, order: AlarmsInput) -> None:
        self.armed.remove(order.canary)

    @activity.defn
    async def shift_step(self, order: StepInput) -> StepResult:
        """The real move of the weight; what is seen at it is the test's."""
        move = ShiftInput(
            baseline=order.baseline,
            canary=order.watched.canary,
            weight=order.weight,
            expected=order.expected,
            lease=order.lease,
        )
        alias = await asyncio.to_thread(self.traffic.move, move)
        await self._hold(order)
        judgement = self.judge(order)
        return StepResult(judgement=judgement, alias=alias, progress=order.progress)

    async def _hold(self, order: StepInput) -> None:
        if self.hold_at(order):
            self.holding.set()
            while not (
                self.release.is_set() and not order.is_pause
            ):  # a cancellation comes with a heartbeat
                activity.heartbeat()
                await asyncio.sleep(0.05)

    @activity.defn
    async def shift_by_codedeploy(self, order: StepInput) -> StepResult:
        """The test is CodeDeploy, and writes the alias."""
        self.by_codedeploy(order)
        await self._hold(order)
        alias = self.traffic.read(order.expected.function, order.expected.alias)
        return StepResult(judgement=self.judge(order), alias=alias, progress=order.progress)

    @activity.defn
    async def tag_release(self, order: TagInput) -> str:
        return "tagged"

    @activity.defn
    async def write_changelog(self, order: ChangelogInput) -> str:
        return "written"

    @activity.defn
    async def end_deployment(self, order: DeploymentInput) -> bool:
        self.end_by_codedeploy(order)
        self.ended.append(order.promotion)
        return True

"""The workflow against the real Temporal server, with time that can be skipped.

AWS is a recording stand-in below the real traffic and deploy activities; what is measured
(build, checks, watching) is scripted by each test.
"""

import asyncio
import base64
import sysconfig
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributeKey, WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from activities.aws_retries import AwsFaults
from activities.deploy import Deploy
from activities.deployments import Deployments
from activities.drill import Drills
from activities.drill_records import DrillRecords
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
from activities.lane import Lanes
from activities.pulse import Pulse
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
from release.lane import Claim, Lane, LaneStatus, lane_id
from release.lease import Note
from release.policy import Policy, parse_policy
from release.promotion import (
    Artifact,
    Counts,
    PromotionRequest,
    PromotionResult,
    PromotionStatus,
    Stage,
    StepJudgement,
)
from release.proof import CodeResult, CodeVerdict
from release.search_attributes import SEARCH_ATTRIBUTES
from release.verdict import CheckResult, Verdict
from tests.green_checks import green_checks
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.drill import RollbackDrillWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow

ROOT = Path(__file__).parents[2]
SHA = "a" * 40


class RecordingLambda:
    """A Lambda control plane in memory: versions, aliases with real `RevisionId` checks."""

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str, dict[str, float]]] = []
        self.fail_updates_with: list[Exception] = []
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        for environment in ("staging", "prod"):
            for name in ("api", "fetcher"):
                function = f"crypto-watch-{name}-{environment}"
                self.versions[function] = [self._version("$LATEST"), self._version("1")]
                self.aliases[function] = {
                    "FunctionVersion": "1",
                    "RoutingConfig": {},
                    "RevisionId": uuid.uuid4().hex,
                }

    def serves(self, name: str = "api", environment: str = "prod") -> dict[str, float]:
        """Version -> share of the alias's traffic."""
        alias = self.aliases[f"crypto-watch-{name}-{environment}"]
        weights = dict(alias["RoutingConfig"].get("AdditionalVersionWeights", {}))
        return {alias["FunctionVersion"]: 1 - sum(weights.values())} | weights

    def weights(self, function: str = "crypto-watch-api-prod") -> list[float]:
        """The canary's share after each write to a function's alias."""
        return [sum(w.values()) for f, _, w in self.writes if f == function]

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        self.reading.set()
        assert self.go_on.wait(20)
        return dict(self.aliases[FunctionName])

    def update_alias(self, FunctionName: str, RevisionId: str, **new: Any) -> dict[str, Any]:
        if self.fail_updates_with:
            raise self.fail_updates_with.pop(0)
        alias = self.aliases[FunctionName]
        if RevisionId != alias["RevisionId"]:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
        alias |= {
            "FunctionVersion": new["FunctionVersion"],
            "RoutingConfig": new["RoutingConfig"],
            "Description": new["Description"],
            "RevisionId": uuid.uuid4().hex,
        }
        weights = dict(new["RoutingConfig"]["AdditionalVersionWeights"])
        self.writes.append((FunctionName, new["FunctionVersion"], weights))
        return dict(alias)

    def get_function_configuration(self, FunctionName: str, **_: Any) -> dict[str, Any]:
        return self.versions[FunctionName][0]

    def update_function_configuration(self, FunctionName: str, **new: Any) -> None:
        self.versions[FunctionName][0] |= {"Environment": new["Environment"]}

    def update_function_code(self, FunctionName: str, S3Bucket: str, S3Key: str) -> None:
        digest = bytes.fromhex(S3Key.removeprefix("lambda/").removesuffix(".zip"))
        self.versions[FunctionName][0]["CodeSha256"] = base64.b64encode(digest).decode()

    def publish_version(self, FunctionName: str, **new: Any) -> dict[str, Any]:
        number = str(len(self.versions[FunctionName]))
        version = self._version(number) | new
        self.versions[FunctionName].append(version)
        return version

    def get_paginator(self, _: str) -> "RecordingLambda":
        return self

    def paginate(self, FunctionName: str) -> list[dict[str, Any]]:
        return [{"Versions": self.versions[FunctionName][1:]}]

    def delete_function(self, FunctionName: str, Qualifier: str) -> None:
        kept = [v for v in self.versions[FunctionName] if v["Version"] != Qualifier]
        self.versions[FunctionName] = kept

    @staticmethod
    def _version(number: str) -> dict[str, Any]:
        return {"Version": number, "CodeSha256": "", "Description": "", "RevisionId": "r"}


class RecordingAlarms:
    """The canary's alarm as CloudWatch holds it: who raised it, and whether it is red."""

    def __init__(self) -> None:
        self.raised: list[dict[str, str]] = []
        self.is_red = threading.Event()

    def set_alarm_state(self, **new: str) -> None:
        self.raised.append(new)
        self.is_red.set()


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


def without_tasks(events: Iterable[Any]) -> int:
    """How many events a history has beside those of the workflow's own tasks, of which a busy
    machine makes more; three for each two others are usual.
    """
    names = (EventType.Name(event.event_type) for event in events)
    return sum("WORKFLOW_TASK" not in name for name in names)


def project_policy() -> Policy:
    """The project's own, with the project's own checks as commands whatever they are."""
    return parse_policy((ROOT / "release.toml").read_text())


class ReleaseSystem:
    """One test's release system: start promotions, send messages, look at production."""

    def __init__(self, environment: WorkflowEnvironment, queue: str) -> None:
        self.environment = environment
        self.queue = queue
        self.aws = RecordingLambda()
        self.alarms = RecordingAlarms()
        self.script = Script(Traffic(self.aws))
        self.worker_options: dict[str, Any] = {}  # of another worker with the same activities

    async def promote(self, **request: Any) -> WorkflowHandle[Any, PromotionResult]:
        """A started promotion of the project's own policy."""
        policy = project_policy()
        order = PromotionRequest(
            **{"sha": SHA, "version": "1.2.3", "requested_by": "dora", "policy": policy} | request
        )
        return await self.environment.client.start_workflow(
            PromotionWorkflow.run,
            order,
            id=f"{order.workflow_id}-{uuid.uuid4().hex[:8]}",
            task_queue=self.queue,
        )

    async def open_lane(self, service: str = "crypto-watch") -> WorkflowHandle[Any, Any]:
        """A new lane of the service, on this system's worker; it has begun."""
        client = self.environment.client
        lane = await client.start_workflow(
            ProductionLaneWorkflow.run,
            Lane(service=service),
            id=lane_id(service),
            task_queue=self.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
        await self.lane_until(lane, lambda status: status.lane.begun)
        return lane

    async def lane_until(
        self, lane: WorkflowHandle[Any, Any], condition: Callable[[LaneStatus], bool]
    ) -> LaneStatus:
        """The lane's first status for which the condition holds."""
        async with asyncio.timeout(20):
            while True:
                status = await lane.query(ProductionLaneWorkflow.status)
                if condition(status):
                    return status
                await asyncio.sleep(0.02)

    def policy_with_shift(self, text: str) -> Policy:
        """The project's own policy with another way to shift."""
        whole = (ROOT / "release.toml").read_text()
        return parse_policy(whole[: whole.index("[shift]")] + text)

    async def promote_and_pass_gates(self) -> WorkflowHandle[Any, PromotionResult]:
        """A promotion with its sign-off and approval already given."""
        handle = await self.promote()
        await self.sign_off_all(handle)
        await self.approve(handle)
        return handle

    async def promote_to_approval(self, **request: Any) -> WorkflowHandle[Any, PromotionResult]:
        """A promotion that waits for its approvers."""
        handle = await self.promote(**request)
        await self.sign_off_all(handle)
        await self.until(handle, lambda status: status.stage is Stage.APPROVAL and status.digest)
        return handle

    async def sign_off_all(
        self, handle: WorkflowHandle[Any, Any], leave_out: tuple[str, ...] = ()
    ) -> None:
        """Every manual item of the policy is signed off by somebody who may."""
        policy = project_policy()
        for item in policy.checklist.items():
            if item.manual and item.id not in leave_out:
                by = policy.approval.roles[item.manual[0]].people[0]
                await handle.signal("sign_off", {"item": item.id, "by": by})

    async def approve(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Both leads say yes."""
        for name in ("alice", "bob"):
            await handle.signal("approve", {"approver": name, "comment": "go"})

    async def status(self, handle: WorkflowHandle[Any, Any]) -> PromotionStatus:
        return await handle.query(PromotionWorkflow.status)

    async def until(
        self,
        handle: WorkflowHandle[Any, Any],
        condition: Callable[[PromotionStatus], bool],
        seconds: float = 20,
    ) -> PromotionStatus:
        """The first status for which the condition holds; fails when it does not come in time."""
        async with asyncio.timeout(seconds):
            while True:
                status = await self.status(handle)
                if condition(status):
                    return status
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False, max_session_skip_count=100_000),
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_log_level="error",
        data_converter=pydantic_data_converter,
        identity="release-system",  # and not pid@host: recorded histories say nothing of a machine
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            # low enough for the lane's tests to see it go on as a new run, again and again
            *("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=120"),
        ],
    )
    yield environment
    await environment.shutdown()


@pytest_asyncio.fixture(loop_scope="session")
async def release_system(temporal: WorkflowEnvironment) -> AsyncIterator[ReleaseSystem]:
    """A worker of its own, on a queue of its own."""
    system = ReleaseSystem(temporal, queue=uuid.uuid4().hex)
    traffic, script = Traffic(system.aws), system.script
    drills = Drills(system.aws, system.alarms)
    lanes = Lanes(temporal.client, Path("no repository"))
    with ThreadPoolExecutor(8) as threads:
        async with Worker(
            temporal.client,
            task_queue=system.queue,
            workflows=[
                PromotionWorkflow,
                ProductionLaneWorkflow,
                RecordWorkflow,
                PostDeployWorkflow,
                RollbackWorkflow,
                IncidentWorkflow,
                DeploymentRecordWorkflow,
                RollbackDrillWorkflow,
            ],
            activities=[
                traffic.record_baseline,
                traffic.shift_traffic,
                traffic.roll_back,
                traffic.point_alias,
                Deploy(system.aws).publish_version,
                script.build_artifacts,
                script.plan_infrastructure,
                script.execute_infrastructure,
                script.discard_infrastructure,
                script.run_integration_tests,
                script.admit_request,
                script.check_staging,
                script.run_project_checks,
                script.read_check_runs,
                script.check_code,
                script.read_environment_review,
                script.notify,
                script.write_incident,
                script.open_issue,
                script.supersede_older,
                lanes.join_lane,
                lanes.find_gone,
                script.find_moving,
                script.compare_commits,
                script.preflight,
                script.smoke,
                script.record_deployments,
                script.quarantine,
                script.refuse_quarantined,
                script.reconcile,
                script.watch_production,
                script.arm_alarms,
                script.disarm_alarms,
                script.shift_step,
                script.shift_by_codedeploy,
                script.end_deployment,
                script.tag_release,
                script.write_changelog,
                script.find_last_drill,
                script.export_audit,
                drills.publish_noop,
                drills.raise_alarm,
                drills.alias_is_anothers,
                drills.confirm_baseline,
                DrillRecords(temporal.client).find_promotion_moving,
            ],
            activity_executor=threads,
            interceptors=[AwsFaults(), Pulse()],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            # a mistake in workflow code fails at once here; in the real worker it is retried
            workflow_failure_exception_types=[Exception],
        ) as worker:
            system.worker_options = worker.config()
            await system.open_lane()
            yield system

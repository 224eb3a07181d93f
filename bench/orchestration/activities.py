"""Every activity of a good promotion, answered at once.

Aliases are moved by the release system's own activities, on `World`. What a promotion would leave
elsewhere (a tag, a changelog entry, a record, the audit) is counted in the world's ledger.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client

from activities.deploy import Deploy
from activities.inputs import (
    Admitted,
    AlarmsInput,
    Armed,
    ArmInput,
    AuditInput,
    BuildInput,
    ChecksInput,
    Compared,
    CompareInput,
    DeploymentsInput,
    DrillsInput,
    NoticeInput,
    PlanInput,
    PreflightInput,
    ProjectChecksInput,
    QuarantineCheckInput,
    ReconcileInput,
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
from activities.release_inputs import ChangelogInput, TagInput
from activities.traffic import Traffic
from bench.orchestration.world import ARTIFACT, World
from release.audit_export import AuditRecord
from release.change_set import InfrastructurePlan
from release.channels import Delivery
from release.deployment import Deployment
from release.drill import DrillResult
from release.lease import Note
from release.promotion import Artifact, Counts, PromotionRequest, StepJudgement
from release.verdict import CheckResult, Verdict


def _passed(name: str) -> CheckResult:
    return CheckResult(id=name, text=f"check {name}", verdict=Verdict.PASSED, evidence="seen")


class Answers:
    """What every measuring activity says: passed; each step of the ladder lasts `step_seconds`."""

    def __init__(self, world: World, step_seconds: float, client: Client) -> None:
        self._world = world
        self._lanes = Lanes(client, Path())
        self._traffic = Traffic(world)
        self._step_seconds = step_seconds

    def all(self) -> list[Any]:
        """Everything that a worker has to register."""
        own = (getattr(self, name) for name in dir(type(self)) if not name.startswith("_"))
        traffic = self._traffic
        return [
            *(one for one in own if hasattr(one, "__temporal_activity_definition")),
            *(traffic.record_baseline, traffic.shift_traffic),
            *(traffic.roll_back, traffic.point_alias),
            Deploy(self._world).publish_version,
            *(self._lanes.join_lane, self._lanes.find_gone, self._lanes.find_moving),
        ]

    @activity.defn
    async def compare_commits(self, order: CompareInput) -> Compared:
        """No commit contains another: each is released, none gives way."""
        return Compared(older=(), newer=())

    @activity.defn
    async def plan_infrastructure(self, order: PlanInput) -> InfrastructurePlan:
        return InfrastructurePlan(stack=order.stack)

    @activity.defn
    async def admit_request(self, request: PromotionRequest) -> Admitted:
        return Admitted(accepts_claims=True)

    @activity.defn
    async def refuse_quarantined(self, order: QuarantineCheckInput) -> None:
        return None

    @activity.defn
    async def build_artifacts(self, order: BuildInput) -> list[Artifact]:
        return [Artifact(function=name, sha256=ARTIFACT, size_bytes=1) for name in order.sources]

    @activity.defn
    async def run_integration_tests(self, order: StagingInput) -> list[CheckResult]:
        return [_passed("a test")]

    @activity.defn
    async def check_staging(self, order: ChecksInput) -> list[CheckResult]:
        return [_passed(name) for name in order.checks]

    @activity.defn
    async def run_project_checks(self, order: ProjectChecksInput) -> list[CheckResult]:
        return [_passed(name) for name in order.checks]

    @activity.defn
    async def preflight(self, order: PreflightInput) -> list[CheckResult]:
        return [_passed("preflight")]

    @activity.defn
    async def smoke(self, order: SmokeInput) -> list[CheckResult]:
        return [_passed("smoke")]

    @activity.defn
    async def notify(self, order: NoticeInput) -> list[Delivery]:
        return []

    @activity.defn
    async def find_last_drill(self, order: DrillsInput) -> DrillResult | None:
        return None

    @activity.defn
    async def supersede_older(self, order: SupersedeInput) -> list[str]:
        return []

    @activity.defn
    async def reconcile(self, order: ReconcileInput) -> list[Note]:
        return []

    @activity.defn
    async def arm_alarms(self, order: ArmInput) -> Armed:
        return Armed()

    @activity.defn
    async def disarm_alarms(self, order: AlarmsInput) -> None:
        return None

    @activity.defn
    async def shift_step(self, order: StepInput) -> StepResult:
        """The real move of the weight, which then is good for as long as it is watched."""
        move = ShiftInput(
            baseline=order.baseline,
            canary=order.watched.canary,
            weight=order.weight,
            expected=order.expected,
            lease=order.lease,
        )
        alias = await asyncio.to_thread(self._traffic.move, move)
        left = self._step_seconds
        while left > 0:
            activity.heartbeat()
            await asyncio.sleep(min(left, 1))
            left -= 1
        judgement = StepJudgement(
            verdict=Verdict.PASSED,
            reason="seen",
            canary=Counts(requests=100, failures=0),
            baseline=Counts(),
        )
        return StepResult(judgement=judgement, alias=alias, progress=order.progress)

    @activity.defn
    async def watch_production(self, order: WatchInput) -> WatchSeen:
        results = tuple(_passed(name) for name in order.checks)
        return WatchSeen(results=results, at=datetime.now(UTC), looks=1)

    @activity.defn
    async def record_deployments(self, order: DeploymentsInput) -> list[Deployment]:
        for one in order.deployments:
            self._world.happened(f"record {order.environment}", one.promotion)
        return list(order.deployments)

    @activity.defn
    async def tag_release(self, order: TagInput) -> str:
        self._world.happened("tag", order.sha)
        return "tagged"

    @activity.defn
    async def write_changelog(self, order: ChangelogInput) -> str:
        self._world.happened("changelog", order.sha)
        return "written"

    @activity.defn
    async def export_audit(self, order: AuditInput) -> AuditRecord:
        self._world.happened("audit", order.workflow_id)
        return AuditRecord(
            workflow_id=order.workflow_id,
            run_id=order.run_id,
            head="0" * 64,
            key="audit",
            events=1,
            at=datetime.now(UTC),
        )

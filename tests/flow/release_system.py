"""One test's release system, as the people around a promotion see it."""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import WorkflowEnvironment

from activities.traffic import Traffic
from release.lane import Lane, LaneStatus, lane_id
from release.policy import Policy, parse_policy
from release.promotion import (
    PromotionRequest,
    PromotionResult,
    PromotionStatus,
    Stage,
)
from tests.flow.recording_lambda import RecordingAlarms, RecordingLambda
from tests.flow.scripted_activities import Script
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow

ROOT = Path(__file__).parents[2]
SHA = "a" * 40


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

"""The production lane from outside: take a place in it, and what it cannot know by itself."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.drill_records import MOVING
from activities.git import is_ancestor
from activities.inputs import ClaimsInput, Compared, CompareInput, JoinInput
from release.lane import Claim, Lane, Says, lane_id

_PATIENCE = timedelta(seconds=10)
"""A lane whose worker is away answers nobody; whoever asks goes on or asks again."""


class Lanes:
    """Asks Temporal for the workflows, and git for the order of commits."""

    def __init__(self, client: Client, repository: Path) -> None:
        self._client = client
        self._repository = repository

    @activity.defn
    async def join_lane(self, order: JoinInput) -> Says:
        """The claim has its place, and this is what the lane says; asked again it keeps it.

        The lane begins if there is none.
        """
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "ProductionLaneWorkflow",
            Lane(service=order.service),
            id=lane_id(order.service),
            task_queue=activity.info().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"who moves production of {order.service}, one at a time",
        )
        try:
            says: Says = await self._client.execute_update_with_start_workflow(
                "join",
                order.claim,
                start_workflow_operation=start,
                result_type=Says,
                rpc_timeout=_PATIENCE,
            )
            return says
        except WorkflowUpdateFailedError as refusal:
            text = getattr(refusal.cause, "message", str(refusal.cause))
            raise ApplicationError(text, type="Refused", non_retryable=True) from refusal

    @activity.defn
    async def compare_commits(self, order: CompareInput) -> Compared:
        """Which of the other commits lead to this one, and to which it leads.

        One that git does not know is neither: both keep their places.
        """

        async def leads(older: str, newer: str) -> bool:
            # in a thread: this runs on the worker's event loop, with everything else
            return await asyncio.to_thread(is_ancestor, self._repository, older, newer)

        others = [sha for sha in order.others if sha != order.sha]
        return Compared(
            older=tuple([sha for sha in others if await leads(sha, order.sha)]),
            newer=tuple([sha for sha in others if await leads(order.sha, sha)]),
        )

    @activity.defn
    async def find_gone(self, order: ClaimsInput) -> tuple[Claim, ...]:
        """The claims whose workflow has ended, however: a terminated one has told nobody."""
        return tuple([claim for claim in order.claims if await self._is_gone(claim)])

    @activity.defn
    async def find_moving(self, order: ClaimsInput) -> tuple[Claim, ...]:
        """The promotions that may write production's aliases, as claims of the lane."""
        stages = ", ".join(f"'{stage.value}'" for stage in MOVING["prod"])
        query = (
            f"WorkflowId STARTS_WITH 'promotion/{order.service}/' AND ExecutionStatus = 'Running' "
            f"AND ReleaseStage IN ({stages})"
        )
        found = []
        async for run in self._client.list_workflows(query):
            described = await self._described(run.id)
            if described is None or described.status is not WorkflowExecutionStatus.RUNNING:
                continue
            known = {pair.key.name: pair.value for pair in run.typed_search_attributes}
            found.append(
                Claim(
                    workflow=run.id,
                    run=_first_run(described),
                    ticket=0,  # it was given none by this lane; any of its own ends it
                    what=str(known.get("ReleaseVersion", run.id)),
                    sha=str(known.get("ReleaseSha", "")),
                    since=run.start_time,
                )
            )
        return tuple(found)

    async def _is_gone(self, claim: Claim) -> bool:
        described = await self._described(claim.workflow)
        return (
            described is None
            or described.status is not WorkflowExecutionStatus.RUNNING
            or _first_run(described) != claim.run
        )

    async def _described(self, workflow: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(workflow).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise


def _first_run(described: WorkflowExecutionDescription) -> str:
    """The run that the workflow began with: after a reset it has another one now."""
    first: str = described.raw_description.workflow_execution_info.first_run_id
    return first or described.run_id

"""Rollback drills from the command line: run one now, or have them run by a Temporal Schedule."""

import asyncio
from datetime import datetime
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from cli import production
from cli.errors import CliError, Refused
from cli.promotions import commits
from cli.temporal import RPC_TIMEOUT, temporal
from release.drill import DrillRequest, DrillResult, drill_request
from release.policy import Policy
from settings import task_queue
from workflows.drill import RollbackDrillWorkflow
from workflows.state import SERVICE

_POLL_SECONDS = 0.5


def prepare(
    environment: str | None, requested_by: str, clock_factor: float
) -> tuple[DrillRequest, Policy]:
    """A checked drill, by the policy on the release branch."""
    repository = commits()
    policy = repository.policy(repository.resolve(repository.branch))
    request = drill_request(
        policy, environment or policy.drill.environment, requested_by, clock_factor
    )
    if production.live(policy, request.environment) is None:
        raise CliError(f"{request.environment} has no release yet: there is nothing to go back to")
    return request, policy


async def run(request: DrillRequest, *, quiet: bool) -> DrillResult:
    """The result of a drill that runs now; one that runs already is followed."""
    async with temporal(request.requested_by) as client:
        handle = await _start(client, request)
        if not quiet:
            await _follow(handle)
        try:
            return await handle.result()
        except WorkflowFailureError as error:
            raise Refused(f"the drill did not end well: {error.cause}") from error


async def schedule(request: DrillRequest, policy: Policy) -> datetime | None:
    """Temporal drills as often as the policy says, one at a time; when it will next."""
    async with temporal(request.requested_by) as client:
        wanted = _schedule(request, policy)
        try:
            handle = await client.create_schedule(
                request.workflow_id, wanted, rpc_timeout=RPC_TIMEOUT
            )
        except ScheduleAlreadyRunningError:
            handle = client.get_schedule_handle(request.workflow_id)
            await handle.update(lambda found: _updated(found, wanted), rpc_timeout=RPC_TIMEOUT)
        return await _next(handle)


async def unschedule(request: DrillRequest) -> bool:
    """No schedule drills there any more; False if none did."""
    async with temporal(request.requested_by) as client:
        try:
            await client.get_schedule_handle(request.workflow_id).delete(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


async def _start(
    client: Client, request: DrillRequest
) -> WorkflowHandle[RollbackDrillWorkflow, DrillResult]:
    return await client.start_workflow(
        RollbackDrillWorkflow.run,
        request,
        id=request.workflow_id,
        task_queue=task_queue(),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=_summary(request),
        search_attributes=_attributes(request),
        rpc_timeout=RPC_TIMEOUT,
    )


async def _follow(handle: WorkflowHandle[Any, Any]) -> None:
    """Each thing that the drill does is one line, until it has ended."""
    said = ""
    ended = asyncio.create_task(handle.result())
    try:
        while not ended.done():
            doing = await handle.query(RollbackDrillWorkflow.doing, rpc_timeout=RPC_TIMEOUT)
            if doing not in ("", said):
                print(f"  {doing}", flush=True)
                said = doing
            await asyncio.wait({ended}, timeout=_POLL_SECONDS)
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


def _schedule(request: DrillRequest, policy: Policy) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RollbackDrillWorkflow.run,
            request.model_copy(update={"requested_by": "the schedule"}),
            id=request.workflow_id,
            task_queue=task_queue(),
            static_summary=_summary(request),
            typed_search_attributes=_attributes(request),
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=policy.drill.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


def _updated(found: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate:
    wanted.state = found.description.schedule.state  # a person may have paused it
    return ScheduleUpdate(schedule=wanted)


async def _next(handle: ScheduleHandle) -> datetime | None:
    times = (await handle.describe(rpc_timeout=RPC_TIMEOUT)).info.next_action_times
    return times[0] if times else None


def _summary(request: DrillRequest) -> str:
    return f"rollback drill of {request.service} in {request.environment}"


def _attributes(request: DrillRequest) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(SERVICE, request.service)])

"""Stop a promotion that moves production, and wait until its baseline is back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from cli import promotions
from cli.temporal import RPC_TIMEOUT
from release.decisions import MOST_NAME, MOST_TEXT, Abort
from release.policy import Policy
from release.promotion import Outcome, PromotionStatus, Stage

_STAGES = (Stage.PRODUCTION, Stage.SHIFT, Stage.BAKE, Stage.ROLLBACK)
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Stopped:
    """A promotion that has ended, and whether it put its baseline back."""

    identity: str
    is_back: bool
    baseline: str | None


async def in_production(client: Client, policy: Policy) -> AsyncIterator[str]:
    """The service's promotions that are in their production part."""
    query = (
        f"WorkflowId STARTS_WITH 'promotion/{policy.service}/' AND ExecutionStatus = 'Running' "
        f"AND ReleaseStage IN ({', '.join(repr(stage.value) for stage in _STAGES)})"
    )
    async for run in client.list_workflows(query):
        yield run.id


async def stop(
    client: Client, identity: str, *, by: str, reason: str, say: Callable[[str], None]
) -> Stopped:
    """The promotion has ended: aborted, unless it ended by itself just before."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(identity)
    message = Abort(by=by[:MOST_NAME], reason=reason[:MOST_TEXT])
    try:
        await handle.execute_update("abort", message, rpc_timeout=RPC_TIMEOUT)
        say(f"{identity}: abort accepted")
    except WorkflowUpdateFailedError as refusal:
        say(f"{identity}: {getattr(refusal.cause, 'message', refusal.cause)}")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        say(f"{identity} has ended already")
    last = await _wait(client, handle, say)
    put_back = last is not None and last.outcome not in (None, Outcome.COMPLETED)
    return Stopped(identity, is_back=put_back, baseline=last.baseline_version if last else None)


async def _wait(
    client: Client, handle: WorkflowHandle[Any, Any], say: Callable[[str], None]
) -> PromotionStatus | None:
    """Its last status once it has ended, each change said; None if no worker could tell it."""
    said = ""
    while True:
        described = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        status, line = await _status(client, handle.id)
        if line != said:
            say(f"{handle.id}: {line}")
            said = line
        if described.status is not WorkflowExecutionStatus.RUNNING:
            return status
        await asyncio.sleep(_POLL_SECONDS)


async def _status(client: Client, identity: str) -> tuple[PromotionStatus | None, str]:
    try:
        status = await promotions.status(client, identity)
    except Exception as error:  # a worker that is away for a moment: the abort stands in Temporal
        return None, f"no answer from the worker, trying again ({error})"
    if status.outcome is not None:
        return status, f"{status.outcome.value}: {status.reason}"
    return status, f"{status.stage.value}, {status.weight:.0%} on the new version"

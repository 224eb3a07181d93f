"""Histories as Temporal has them, as plain events that can be read."""

import json
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.payloads import decoded
from release.audit_events import Event

_LONGEST = timedelta(seconds=15)  # of one page; without it a server that is gone is waited for


async def read_events(client: Client, workflow_id: str, run_id: str | None = None) -> list[Event]:
    """The events of a run, the latest one unless it is named; empty if Temporal knows none."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    try:
        history = await handle.fetch_history(rpc_timeout=_LONGEST)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    events: list[Event] = json.loads(history.to_json())["events"]
    return await decoded(events, client.data_converter.payload_codec)


async def is_running(client: Client, workflow_id: str, run_id: str) -> bool:
    """Whether the run goes on; one that Temporal does not know any more does not."""
    try:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        described = await handle.describe(rpc_timeout=_LONGEST)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING

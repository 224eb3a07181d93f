"""The day after a promotion, as `starter.py status` shows it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.inputs import WatchSeen
from cli.temporal import RPC_TIMEOUT
from release.post_deploy import (
    PostDeployResult,
    PostDeployStatus,
    WatchOutcome,
    passed_text,
    post_deploy_id,
    seen,
)
from release.verdict import Verdict
from workflows.post_deploy import PostDeployWorkflow

_ACTIVITY = "watch_production"
_COLOURS = {WatchOutcome.PASSED: "green", WatchOutcome.UNMEASURED: "yellow"}

Handle = WorkflowHandle[PostDeployWorkflow, PostDeployResult]


async def status(client: Client, promotion: str) -> PostDeployStatus | None:
    """What was seen since the promotion's last run ended; None if nobody has watched."""
    run = await client.get_workflow_handle(promotion).describe(rpc_timeout=RPC_TIMEOUT)
    handle: Handle = client.get_workflow_handle(post_deploy_id(promotion, run.run_id))
    try:
        found = await handle.query(PostDeployWorkflow.status, rpc_timeout=RPC_TIMEOUT)
        live = await _live(client, handle)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if live is None:
        return found
    return found.model_copy(update={"items": seen(found.items, live.results, live.at)})


async def _live(client: Client, handle: Handle) -> WatchSeen | None:
    """What the look under way has seen: the workflow itself hears of it at the look's end."""
    description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    for pending in description.raw_description.pending_activities:
        if pending.activity_type.name == _ACTIVITY and pending.HasField("heartbeat_details"):
            payloads = list(pending.heartbeat_details.payloads)
            (details,) = await client.data_converter.decode(payloads)
            return WatchSeen.model_validate(details)
    return None


def print_status(found: PostDeployStatus) -> None:
    """How far the day is, and what is not well."""
    console = Console(highlight=False)
    console.print(_head(found))
    table = Table(box=None, padding=(0, 2), show_header=False)
    for item in found.items:
        if item.verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE):
            colour = "red" if item.verdict is Verdict.FAILED else "yellow"
            at = f"{item.at:%H:%M}" if item.at else ""
            mark = Text(item.verdict.value, style=colour)
            table.add_row(at, mark, item.id, Text(item.evidence))
    if table.row_count:
        console.print(table)
    for line in found.told:
        console.print(Text(f"people were told, {line}", style="red"))


def _head(found: PostDeployStatus) -> Text:
    passed = passed_text(found.items)
    if found.outcome is None:
        until = f"{found.until:%Y-%m-%d %H:%M} UTC"
        return Text(f"\nwatched until {until}, {passed}; {found.next}", style="cyan")
    colour = _COLOURS.get(found.outcome, "red")
    return Text(f"\nthe day after: {found.outcome.value}: {found.reason}; {passed}", style=colour)

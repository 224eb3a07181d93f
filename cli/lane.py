"""`starter.py lane`: who moves production, who waits and why; freeze it, lift the freeze."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from cli import promotions
from cli.errors import OK, CliError
from cli.temporal import RPC_TIMEOUT, temporal
from release.decisions import MOST_NAME, MOST_TEXT
from release.lane import FreezeLane, Lane, LaneStatus, Priority, UnfreezeLane, lane_id
from release.lane_rules import frozen
from release.policy import Policy, parse_duration
from release.windows import Windows
from settings import task_queue
from workflows.production_lane import ProductionLaneWorkflow

_LATEST = 10


def run(arguments: Any) -> int:
    """The lane as it is, or as the command leaves it."""
    repository = promotions.commits()
    policy = repository.policy(repository.resolve(repository.branch))
    status = asyncio.run(_status(arguments, policy))
    if arguments.json:
        print(json.dumps(status.model_dump(mode="json")))
    else:
        _print(status, policy)
    return OK


async def _status(arguments: Any, policy: Policy) -> LaneStatus:
    message = _message(arguments, policy.windows)
    async with temporal(arguments.name) as client:
        if message is None:
            return await _read(client, policy.service)
        return await _send(client, policy.service, arguments.action, message)


def _message(arguments: Any, windows: Windows) -> FreezeLane | UnfreezeLane | None:
    if arguments.action is None:
        return None
    by, reason = arguments.name[:MOST_NAME], arguments.reason.strip()[:MOST_TEXT]
    if not reason:
        raise CliError("--reason is empty: those who wait will read it")
    if arguments.action == "unfreeze":
        return UnfreezeLane(by=by, reason=reason)
    return FreezeLane(by=by, reason=reason, until=_until(arguments.until, windows))


def _until(text: str, windows: Windows) -> datetime | None:
    """A time from now, or a moment; one without a time zone is of the windows' own."""
    if not text:
        return None
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise CliError(f"--until: {error}") from error
    if isinstance(length, timedelta):
        return datetime.now(UTC) + length
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(f'--until {text!r} is no time; write 2h, 3d or "2030-11-30 08:00"') from None
    if moment.tzinfo is None:
        zone = UTC if windows.timezone == "UTC" else ZoneInfo(windows.timezone)
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


async def _read(client: Client, service: str) -> LaneStatus:
    handle = client.get_workflow_handle(lane_id(service))
    try:
        return await handle.query(ProductionLaneWorkflow.status, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return LaneStatus(lane=Lane(service=service), waiting=())  # nobody has wanted it yet


async def _send(
    client: Client, service: str, name: str, message: FreezeLane | UnfreezeLane
) -> LaneStatus:
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        ProductionLaneWorkflow.run,
        Lane(service=service),
        id=lane_id(service),
        task_queue=task_queue(),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    status: LaneStatus = await client.execute_update_with_start_workflow(
        name,
        message,
        start_workflow_operation=start,
        result_type=LaneStatus,
        rpc_timeout=RPC_TIMEOUT,
    )
    return status


def _print(status: LaneStatus, policy: Policy) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    lane = status.lane
    table = Table.grid(padding=(0, 2))
    names = [f"{one.what} ({one.workflow})" for one in lane.holders]
    # as Text: what people write is no markup of ours
    table.add_row("moves production", Text(", ".join(names) or "nobody"))
    if lane.freeze is None:
        table.add_row("frozen", Text("no", style="green"))
    else:
        table.add_row("frozen", Text(frozen(lane.freeze).removeprefix("frozen "), style="red"))
        table.add_row("", "rollbacks go on; lift it: starter.py lane unfreeze --reason …")
    table.add_row("windows", Text(_windows(policy.windows)))
    table.add_row("waiting", "nobody" if not status.waiting else "")
    for one in status.waiting:
        hotfix = " (hotfix)" if one.claim.priority is Priority.HOTFIX else ""
        table.add_row("", Text(f"{one.claim.what}{hotfix}: {one.text}"))
        table.add_row("", Text(f"  since {_time(one.claim.since)}, {one.claim.workflow}", "dim"))
    console.print(table)
    for record in lane.records[-_LATEST:]:
        said = record.text if record.accepted else f"refused: {record.text}"
        style = "dim" if record.accepted else "yellow"
        console.print(Text(f"{_time(record.at)}  {record.kind}, {record.by}: {said}", style))


def _windows(windows: Windows) -> str:
    if not windows.allow:
        return "none: traffic may begin to move at any time"
    now = datetime.now(UTC)
    opens = windows.opens(now)
    state = "open now" if opens == now else f"closed until {_time(opens)}"
    return f"{', '.join(windows.allow)} {windows.timezone}: {state}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

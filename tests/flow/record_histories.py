"""Records workflow histories for `test_replay.py`: `make histories`.

Not a test by its file name, so that only a call by name runs it.
"""

import asyncio
import json
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from release.lane import lane_id
from release.rollback import AliasTarget, RollbackRequest, Undone
from release.verdict import Verdict
from tests.flow import recordings
from tests.flow.release_system import project_policy
from workflows.production_lane import LOOK_EVERY
from workflows.rollback import RollbackWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIGN_OFF = {"item": "manual-verification", "by": "alice"}


async def completed(system):
    return await system.promote_and_pass_gates()


async def needs_fix(system):
    handle = await system.promote()
    await handle.signal("sign_off", SIGN_OFF | {"passed": False, "note": "prices look odd"})
    return handle


async def rejected(system):
    handle = await system.promote_to_approval()
    await handle.signal("reject", {"approver": "bob", "comment": "not today"})
    return handle


async def expired(system):
    handle = await system.promote_to_approval()
    await system.environment.fast_forward(handle, timedelta(hours=25))
    return handle


async def superseded(system):
    handle = await system.promote_to_approval()
    await handle.signal("supersede", {"by": "promotion/crypto-watch/bbbbbbbbbbbb"})
    return handle


async def rolled_back(system):
    system.script.judge = lambda order: system.script.judgement(
        Verdict.FAILED if len(system.aws.weights()) == 3 else Verdict.PASSED
    )
    return await system.promote_and_pass_gates()


async def aborted(system):
    handle = await _held_at_20_percent(system)
    await handle.signal("abort", {"by": "carol", "reason": "customers call"})
    return handle


async def cancelled(system):
    handle = await _held_at_20_percent(system)
    await handle.cancel()
    return handle


async def failed(system):
    system.script.judge = lambda order: (_ for _ in ()).throw(
        ApplicationError("broken", non_retryable=True)
    )
    return await system.promote_and_pass_gates()


async def _held_at_20_percent(system):
    system.script.hold_at = lambda order: len(system.aws.weights()) == 2
    handle = await system.promote_and_pass_gates()
    await asyncio.wait_for(system.script.holding.wait(), 20)
    return handle


@pytest.mark.parametrize(
    "drive",
    [completed, needs_fix, rejected, expired, superseded, rolled_back, aborted, cancelled, failed],
    ids=lambda drive: drive.__name__,
)
async def test_record(release_system, drive):
    """The history of a promotion that ended so lies in `histories/`, one for each outcome."""
    handle = await drive(release_system)
    with suppress(WorkflowFailureError):
        await handle.result()
    await _keep(drive.__name__, handle)


async def test_record_what_goes_over_to_a_new_build(release_system):
    """So do those of the workflows that a new build has to go on with: a rollback, the records."""
    handle = await completed(release_system)
    await handle.result()
    children = await _children(release_system, handle)
    await children["RecordWorkflow"].result()
    await _keep("record", children["RecordWorkflow"])

    rollback = await release_system.environment.client.start_workflow(
        RollbackWorkflow.run,
        _rollback_request(),
        id=f"rollback/crypto-watch/{uuid.uuid4().hex[:8]}",
        task_queue=release_system.queue,
    )
    await rollback.result()
    children = await _children(release_system, rollback)
    await _keep("rollback", rollback)
    for name, kind in (
        ("deployment_record", "DeploymentRecordWorkflow"),
        ("incident", "IncidentWorkflow"),
    ):
        await children[kind].result()
        await _keep(name, children[kind])


async def test_record_the_lane(release_system):
    """One that two waited in, that was frozen, and whose holder died."""
    client = release_system.environment.client
    lane = client.get_workflow_handle(lane_id("crypto-watch"))
    dead = await _held_at_20_percent(release_system)
    second = await release_system.promote_and_pass_gates()
    await release_system.lane_until(lane, lambda s: len(s.lane.queue) == 1)
    await lane.signal("freeze", {"by": "bob", "reason": "the sale"})
    await dead.terminate()
    release_system.aws.aliases["crypto-watch-api-prod"]["RoutingConfig"] = {}  # the guard did that
    release_system.script.hold_at = lambda order: False
    await release_system.environment.fast_forward(lane, 2 * LOOK_EVERY)
    await release_system.until(second, lambda s: "1st in line: frozen" in s.next)
    await lane.signal("unfreeze", {"by": "bob", "reason": "the sale is over"})
    await second.result()
    await release_system.lane_until(lane, lambda s: not s.lane.holders)
    await _keep("production_lane", lane)


def _rollback_request() -> RollbackRequest:
    policy = project_policy()
    undone = Undone(
        sha="b" * 40,
        version="1.2.3",
        reason="customers call",
        table="crypto-watch-prod",
        number="2",
    )
    targets = tuple(
        AliasTarget(function=function, alias=policy.alias, version="1")
        for function in policy.function_names("prod").values()
    )
    return RollbackRequest(
        service=policy.service,
        release=f"1.2.2 {'c' * 40}",
        targets=targets,
        requested_by="carol",
        reason="customers call",
        undone=(undone,),
        policy=policy,
        table="crypto-watch-prod",
    )


async def _children(system, handle) -> dict[str, WorkflowHandle]:
    """What the workflow left behind, by the kind of workflow."""
    client = system.environment.client
    async with asyncio.timeout(20):  # the list lags behind
        while True:
            found = {
                child.workflow_type: client.get_workflow_handle(child.id)
                async for child in client.list_workflows(
                    f"RootWorkflowId = '{handle.id}' AND WorkflowId != '{handle.id}'"
                )
            }
            if len(found) == 2:
                return found
            await asyncio.sleep(0.1)


async def _keep(name: str, handle: WorkflowHandle) -> None:
    history = json.loads((await handle.fetch_history()).to_json())
    _drop_stack_traces(history)
    recordings.write(name, history)


def _drop_stack_traces(node: Any) -> None:
    """They name the paths of the machine that recorded; a replay does not read them."""
    if isinstance(node, dict):
        node.pop("stackTrace", None)
        for value in node.values():
            _drop_stack_traces(value)
    elif isinstance(node, list):
        for value in node:
            _drop_stack_traces(value)

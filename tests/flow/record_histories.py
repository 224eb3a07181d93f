"""Records one workflow history per outcome for `test_replay.py`: `make histories`.

Not a test by its file name, so that only a call by name runs it.
"""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from release.verdict import Verdict

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
async def test_record(release_system, histories_dir, drive):
    """The history of a promotion that ended so lies in `histories/`."""
    handle = await drive(release_system)
    with suppress(WorkflowFailureError):
        await handle.result()
    history = json.loads((await handle.fetch_history()).to_json())
    _drop_stack_traces(history)
    histories_dir.mkdir(exist_ok=True)
    (histories_dir / f"{drive.__name__}.json").write_text(json.dumps(history, indent=1) + "\n")


def _drop_stack_traces(node: Any) -> None:
    """They name the paths of the machine that recorded; a replay does not read them."""
    if isinstance(node, dict):
        node.pop("stackTrace", None)
        for value in node.values():
            _drop_stack_traces(value)
    elif isinstance(node, list):
        for value in node:
            _drop_stack_traces(value)

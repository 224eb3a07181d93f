"""What a release tells over its life: each thing once, and nothing waits for it."""

import asyncio

import pytest
from temporalio.client import WorkflowHandle

from release.policy import parse_policy
from release.promotion import Outcome
from release.verdict import Verdict
from tests.flow.approval_parts import TEXT

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANNEL = '\n[[notify]]\nkind = "webhook"\nname = "team"\nurl_secret = "team/url"\n'
STATUS_PAGE = CHANNEL.replace("team", "page") + 'events = ["shifting", "rolled_back", "done"]\n'


async def ended(system, handle: WorkflowHandle) -> list[str]:
    """The promotion and its record have ended; the events told, in order."""
    result = await handle.result()
    run = handle.first_execution_run_id or handle.result_run_id
    record = f"record/crypto-watch/{'a' * 12}/{run[-8:]}"
    await system.environment.client.get_workflow_handle(record).result()
    return [result.outcome, *(notice.event for notice in system.script.notices)]


async def promoted(system, channels: str = CHANNEL):
    """A promotion whose gates are open."""
    handle = await system.promote(policy=parse_policy(TEXT + channels))
    await system.sign_off_all(handle)
    await system.approve(handle)
    return handle


async def test_completed_release_tells_its_whole_life(release_system):
    """Started, announced, asked, shifting, done: each once, in a history under 300 events."""
    handle = await promoted(release_system)

    assert await ended(release_system, handle) == [
        Outcome.COMPLETED,
        *("started", "announced", "approval_requested", "shifting", "done"),
    ]
    assert len((await handle.fetch_history()).events) < 300


async def test_release_that_goes_back_says_so(release_system):
    """Rolled back is told once, with why, and before anybody reads the packet."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED, "too many failures")

    told = await ended(release_system, await promoted(release_system))

    assert told[0] is Outcome.ROLLED_BACK
    assert told.count("rolled_back") == 1
    assert "done" not in told
    [notice] = [one for one in script.notices if one.event == "rolled_back"]
    assert notice.title == "crypto-watch 1.2.3 went back"
    assert "too many failures" in notice.markdown


async def test_rejected_release_tells_its_end(release_system):
    """Whoever heard of the request hears that it is over, and that no user met the release."""
    handle = await release_system.promote_to_approval(policy=parse_policy(TEXT + CHANNEL))
    await handle.signal("reject", {"approver": "bob", "comment": "not today"})

    told = await ended(release_system, handle)

    assert told == [Outcome.REJECTED, "started", "announced", "approval_requested", "ended"]
    last = release_system.script.notices[-1]
    assert last.title == "crypto-watch 1.2.3 ended: rejected"
    assert "not today" in last.markdown


async def test_channel_hears_only_what_it_wants(release_system):
    """A status page gets shifting and done; the team gets everything."""
    await ended(release_system, await promoted(release_system, CHANNEL + STATUS_PAGE))

    to_page = [
        notice.event
        for notice in release_system.script.notices
        if "page" in [channel.name for channel in notice.channels]
    ]
    assert to_page == ["shifting", "done"]


async def test_notice_that_hangs_delays_neither_the_first_weight_nor_the_rollback(release_system):
    """A channel that does not answer holds up no traffic: the release goes back all the same."""
    script = release_system.script
    script.hang_on = "shifting"
    script.judge = lambda order: script.judgement(Verdict.FAILED)
    handle = await promoted(release_system)

    async with asyncio.timeout(20):
        result = await handle.result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert len(result.steps) == 1
    assert script.hung.is_set()
    script.release.set()

"""What a release tells over its life: each thing once, and nothing waits for it."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle

from release.policy import parse_policy
from release.promotion import Outcome
from release.records import RecordResult
from release.verdict import Verdict
from tests.flow.approval_parts import TEXT
from tests.flow.release_system import SHA, without_tasks

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANNEL = '\n[[notify]]\nkind = "webhook"\nname = "team"\nurl_secret = "team/url"\n'
STATUS_PAGE = CHANNEL.replace("team", "page") + 'events = ["shifting", "rolled_back", "done"]\n'


async def record(system, handle: WorkflowHandle) -> RecordResult:
    """What became of the record of a promotion that has ended."""
    workflow_id = f"record/crypto-watch/{SHA[:12]}/{handle.first_execution_run_id[-8:]}"
    found = system.environment.client.get_workflow_handle(workflow_id, result_type=RecordResult)
    return await found.result()


async def ended(system, handle: WorkflowHandle) -> list[str]:
    """The promotion and its record have ended; its outcome, then the events told, in order."""
    result = await handle.result()
    await record(system, handle)
    return [result.outcome, *(notice.event for notice in system.script.notices)]


async def promoted(system, channels: str = CHANNEL):
    """A promotion whose gates are open."""
    handle = await system.promote(policy=parse_policy(TEXT + channels))
    await system.sign_off_all(handle)
    await system.approve(handle)
    return handle


async def test_completed_release_tells_its_whole_life(release_system):
    """Started, announced, asked, shifting, done: each once, for three events of history each."""
    handle = await promoted(release_system)

    assert await ended(release_system, handle) == [
        Outcome.COMPLETED,
        *("started", "announced", "approval_requested", "shifting", "done"),
    ]
    assert without_tasks((await handle.fetch_history()).events) < 175 + 5 * 3


async def test_release_that_goes_back_says_so(release_system):
    """Rolled back is told once, with why, and before anybody reads the packet."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED, "too many failures")

    told = await ended(release_system, await promoted(release_system))

    assert told[0] is Outcome.ROLLED_BACK
    assert sorted(told[5:]) == ["incident", "rolled_back"]
    [notice] = [one for one in script.notices if one.event == "rolled_back"]
    assert notice.title == "crypto-watch 1.2.3 went back"
    assert "too many failures" in notice.markdown


async def test_incident_packet_has_the_facts_of_the_release_that_went_back(release_system):
    """Which version, what it put back, with which rungs: what the packet is gathered by."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED, "too many failures")
    handle = await promoted(release_system)
    await handle.result()

    [kept] = [one for one in (await record(release_system, handle)).kept if "packet" in one.what]

    [facts] = script.incidents
    assert kept.done
    assert kept.text == f"s3://crypto-watch-artifacts/{facts.key}.md"
    assert facts.expected == {"crypto-watch-api-prod": "1", "crypto-watch-fetcher-prod": "1"}
    assert facts.bad == {"crypto-watch-api-prod": "2", "crypto-watch-fetcher-prod": "2"}
    assert (facts.outcome, facts.quarantines) == ("rolled back", True)
    [rung] = facts.steps
    assert rung.started_at <= facts.went_back_at <= facts.ended_at
    assert "alice" in [message.by for message in facts.messages]
    [notice] = [one for one in script.notices if one.event == "incident"]
    assert kept.text in notice.markdown
    assert f"starter.py incident {SHA[:12]}" in notice.markdown


async def test_aborted_release_has_a_packet_and_is_not_to_be_quarantined(release_system):
    """A person stopped it while users met it: that is an incident, and no word on the commit."""
    script = release_system.script
    script.hold_at = lambda order: order.weight == 0.2
    handle = await promoted(release_system)
    await asyncio.wait_for(script.holding.wait(), 20)
    await handle.signal("abort", {"by": "carol", "reason": "customers call"})

    told = await ended(release_system, handle)

    assert sorted(told[5:]) == ["incident", "rolled_back"]
    [facts] = script.incidents
    assert (facts.outcome, facts.quarantines) == ("aborted", False)
    assert facts.steps[-1].judgement is None


async def test_packet_that_no_bucket_takes_is_told_all_the_same(release_system):
    """Its head is in the channels, and the record says what was not kept."""
    script = release_system.script
    script.bucket_problem = "the bucket is gone"
    script.judge = lambda order: script.judgement(Verdict.FAILED)
    handle = await promoted(release_system)
    await handle.result()

    [kept] = [one for one in (await record(release_system, handle)).kept if "packet" in one.what]

    assert not kept.done
    assert kept.text.startswith("the bucket is gone; ")
    [notice] = [one for one in script.notices if one.event == "incident"]
    assert notice.markdown.startswith("head\n\n**The packet was not stored:** the bucket is gone")


async def test_incident_is_an_issue_where_there_is_a_repository(release_system):
    """One on GitHub, known by the promotion's run, with the packet's first screen."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED)
    policy = parse_policy(TEXT + CHANNEL)
    ci = policy.ci.model_copy(update={"repository": "o/r"})
    handle = await release_system.promote(policy=policy.model_copy(update={"ci": ci}))
    await release_system.sign_off_all(handle)
    await release_system.approve(handle)
    await handle.result()

    await release_system.until(handle, lambda _: script.issues)

    [issue] = script.issues
    assert (issue.repository, issue.title) == ("o/r", "went back")
    assert issue.body.startswith("head\n\nThe whole packet: ")
    assert script.incidents[0].run in issue.marker


async def test_rejected_release_tells_its_end(release_system):
    """Whoever heard of the request hears that it is over, and that no user met the release."""
    handle = await release_system.promote_to_approval(policy=parse_policy(TEXT + CHANNEL))
    await handle.signal("reject", {"approver": "bob", "comment": "not today"})

    told = await ended(release_system, handle)

    assert told == [Outcome.REJECTED, "started", "announced", "approval_requested", "ended"]
    assert release_system.script.incidents == []
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


async def test_channel_that_missed_the_end_hears_of_it_later(release_system):
    """Down for some minutes: told again until it is reached, alone, under the same key."""
    script = release_system.script

    def deliver(channel):
        ends = [one for one in script.notices if one.event == "ended"]
        return "HTTP 503" if channel.name == "team" and len(ends) in (1, 2) else ""

    script.deliver = deliver
    handle = await release_system.promote(
        policy=parse_policy(TEXT + CHANNEL + CHANNEL.replace("team", "other"))
    )
    await handle.signal("abort", {"by": "carol", "reason": "not today"})
    await handle.result()
    record = release_system.environment.client.get_workflow_handle(
        f"record/crypto-watch/{SHA[:12]}/{handle.first_execution_run_id[-8:]}",
        result_type=RecordResult,
    )
    await release_system.environment.fast_forward(record, timedelta(minutes=10))

    [kept] = [one for one in (await record.result()).kept if one.what == "notice ended"]

    assert (kept.done, kept.text) == (True, "told team, other")
    ends = [one for one in script.notices if one.event == "ended"]
    names = [[channel.name for channel in one.channels] for one in ends]
    assert names == [["team", "other"], ["team"], ["team"]]
    assert len({one.at for one in ends}) == 1

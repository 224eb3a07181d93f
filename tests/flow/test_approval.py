"""The approval: what counts, what does not, and that every message has a stated outcome."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from release.decisions import Decision
from release.policy import parse_policy
from release.promotion import Outcome, Stage
from tests.flow.approval_parts import TEXT, messages, refusal
from tests.flow.release_system import project_policy, without_tasks

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANUAL = [item for item in project_policy().checklist.items() if item.manual]
CHANNEL = '\n[[notify]]\nkind = "webhook"\nname = "team"\nurl_secret = "team/url"\n'


async def test_approval_before_it_is_asked_for_counts(release_system):
    """Both leads say yes while staging is measured; nobody is asked twice."""
    handle = await release_system.promote()
    await release_system.approve(handle)
    await release_system.sign_off_all(handle)

    assert (await handle.result()).outcome is Outcome.COMPLETED
    votes = (await release_system.status(handle)).votes
    assert [(vote.approver, vote.digest) for vote in votes] == [("alice", ""), ("bob", "")]


async def test_one_lead_is_not_enough(release_system):
    """Technical lead and operations lead, always."""
    handle = await release_system.promote_to_approval()
    await handle.execute_update("approve", Decision(approver="alice"))

    status = await release_system.status(handle)

    assert status.stage is Stage.APPROVAL
    assert [(role.role, role.approved_by) for role in status.quorum] == [
        ("technical_lead", ("alice",)),
        ("operations_lead", ()),
    ]
    await handle.execute_update("approve", Decision(approver="bob"))
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_thousand_duplicates_are_one_approval(release_system):
    """One yes counts once; each repetition is refused in the record, and nothing breaks."""
    handle = await release_system.promote_to_approval()
    sending = [handle.signal("approve", {"approver": "alice"}) for _ in range(1000)]
    await asyncio.gather(*sending)

    await release_system.until(handle, lambda s: len(s.inbox) >= 1000 + len(MANUAL), seconds=60)
    found = await messages(release_system, handle)
    assert [accepted for _, accepted, _ in found].count(True) == 1
    assert {text for _, accepted, text in found if not accepted} == {"alice has approved already"}
    assert (await release_system.status(handle)).stage is Stage.APPROVAL
    await handle.signal("approve", {"approver": "bob"})
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_approve_and_reject_in_one_task_is_a_rejection(release_system):
    """Three messages at once: the no ends it, whatever came before it."""
    handle = await release_system.promote_to_approval()
    await asyncio.gather(
        handle.signal("approve", {"approver": "alice"}),
        handle.signal("reject", {"approver": "bob", "comment": "not now"}),
    )

    result = await handle.result()

    assert (result.outcome, result.reason) == (Outcome.REJECTED, "rejected by bob: not now")
    assert release_system.aws.serves() == {"1": 1}


async def test_approval_after_the_end_is_refused_by_temporal(release_system):
    """A promotion that expired takes no messages; who sends one is told."""
    handle = await release_system.promote_to_approval()
    await release_system.environment.fast_forward(handle, timedelta(hours=25))
    assert (await handle.result()).outcome is Outcome.EXPIRED

    with pytest.raises(RPCError, match="already completed"):
        await handle.execute_update("approve", Decision(approver="alice"))
    with pytest.raises(RPCError, match="already completed"):
        await handle.signal("approve", {"approver": "alice"})


@pytest.mark.parametrize(
    ("request_", "name", "said"),
    [
        ({"requested_by": "alice"}, "alice", "alice requested this release"),
        ({"authors": ("alice",)}, "alice", "alice wrote a part of this release"),
        ({}, "mallory", "mallory is not an approver; who may: alice (technical lead), bob"),
        ({}, "paula", "paula is product owner, who is asked for major versions only"),
        ({}, "", "who are you? send"),
    ],
    ids=["requester", "author", "stranger", "not asked", "nobody"],
)
async def test_who_may_not_approve_is_told_why(release_system, request_, name, said):
    """Refused to the sender, and in the record."""
    handle = await release_system.promote(**request_)

    assert said in await refusal(handle, approver=name)

    [(by, accepted, text)] = await messages(release_system, handle)
    assert (by, accepted) == (name or "unknown", False)
    assert said in text
    await handle.signal("abort")
    await handle.result()


async def test_product_owner_completes_a_major_version(release_system):
    """1.9 → 2.0 needs all three."""
    handle = await release_system.promote_to_approval(version="2.0.0", running_version="1.9.0")
    await release_system.approve(handle)
    assert (await release_system.status(handle)).stage is Stage.APPROVAL

    await handle.signal("approve", {"approver": "paula"})

    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_one_person_in_two_roles_fills_one(release_system):
    """The policy says so; both roles by one person is a quorum only where it says otherwise."""
    both = TEXT.replace('people = ["bob"]', 'people = ["alice", "bob"]')
    handle = await release_system.promote_to_approval(policy=parse_policy(both))
    await handle.execute_update("approve", Decision(approver="alice"))
    assert (await release_system.status(handle)).stage is Stage.APPROVAL
    await handle.signal("abort")
    await handle.result()

    lenient = both.replace("one_person_two_roles = false", "one_person_two_roles = true")
    handle = await release_system.promote_to_approval(policy=parse_policy(lenient))
    await handle.execute_update("approve", Decision(approver="alice"))
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_approval_for_other_evidence_is_refused(release_system):
    """Who names a digest means that evidence and no other."""
    handle = await release_system.promote()
    assert "nobody was asked yet" in await refusal(handle, approver="alice", digest="0" * 12)
    await release_system.sign_off_all(handle)
    status = await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL and s.digest)

    said = await refusal(handle, approver="alice", digest="0" * 12)

    assert said.endswith(f"now it is {status.digest[:12]}: look again")
    right = Decision(approver="alice", digest=status.digest[:12])
    await handle.execute_update("approve", right)
    assert (await release_system.status(handle)).votes[0].digest == status.digest
    await handle.signal("abort")
    await handle.result()


async def test_changed_rollback_target_voids_the_approvals(release_system):
    """Production changed while people approved: they are asked again, for what is true now."""
    handle = await release_system.promote_to_approval()
    first = (await release_system.status(handle)).digest
    release_system.aws.aliases["crypto-watch-api-prod"]["FunctionVersion"] = "7"

    await release_system.approve(handle)

    status = await release_system.until(
        handle, lambda s: s.stage is Stage.APPROVAL and s.digest not in ("", first)
    )
    assert status.votes == ()
    assert release_system.aws.weights() == []
    [(_, _, text)] = await messages(release_system, handle, "void")
    assert text == (
        "production changed: another version would be put back; "
        "the approvals of alice, bob are void"
    )
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_withdrawn_approval_does_not_count(release_system):
    """An approver may change their mind until the deploy begins, and back."""
    handle = await release_system.promote_to_approval()
    await handle.signal("approve", {"approver": "alice"})
    await handle.execute_update("withdraw", {"by": "alice"})
    await handle.signal("approve", {"approver": "bob"})

    status = await release_system.until(handle, lambda s: len(s.votes) == 1)
    assert (status.stage, status.votes[0].approver) == (Stage.APPROVAL, "bob")

    await handle.signal("approve", {"approver": "alice"})
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_withdrawal_in_the_last_moment_is_heeded(release_system):
    """The quorum is met and production's versions are being read: a withdrawal still counts."""
    aws = release_system.aws
    handle = await release_system.promote_to_approval()
    aws.reading.clear()
    aws.go_on.clear()
    await release_system.approve(handle)
    assert await asyncio.to_thread(aws.reading.wait, 20)

    await handle.execute_update("withdraw", {"by": "bob"})
    aws.go_on.set()

    status = await release_system.until(
        handle, lambda s: s.stage is Stage.APPROVAL and s.digest and not s.votes
    )
    assert status.outcome is None
    assert aws.weights() == []
    [(_, _, text)] = await messages(release_system, handle, "void")
    assert text.startswith("something was withdrawn at the last moment")
    await handle.signal("abort")
    await handle.result()


async def test_nothing_is_withdrawn_once_the_deploy_has_begun(release_system):
    """From then on the way back is an abort; the refusal says so."""
    release_system.script.hold_at = lambda order: True
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("withdraw", {"by": "alice"})

    assert refused.value.cause.message == "the deploy has begun; use abort to stop the release"
    await handle.signal("abort")
    await handle.result()


async def test_withdrawn_sign_off_reopens_the_checklist_and_voids_the_approvals(release_system):
    """An answer taken back is missing again: approvals given for it are void."""
    handle = await release_system.promote_to_approval()
    await handle.signal("approve", {"approver": "alice"})
    await handle.execute_update("withdraw", {"by": "alice", "item": "known-issues"})

    status = await release_system.until(handle, lambda s: s.stage is Stage.CHECKLIST)
    assert (status.votes, status.digest) == ((), "")

    await handle.signal("sign_off", {"item": "known-issues", "by": "alice"})
    await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL and s.digest)
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_changed_answer_voids_the_approvals_though_it_is_still_a_yes(release_system):
    """A sign-off that is given anew says something else: what was approved was the old one."""
    handle = await release_system.promote_to_approval()
    first = (await release_system.status(handle)).digest
    await handle.execute_update("approve", Decision(approver="bob", digest=first))
    note = {"item": "known-issues", "by": "alice", "note": "one was found: prices of DOGE"}
    await handle.execute_update("sign_off", note)

    status = await release_system.until(
        handle, lambda s: s.stage is Stage.APPROVAL and s.digest not in ("", first)
    )

    assert status.votes == ()
    await handle.signal("abort")
    await handle.result()


async def test_endless_changes_of_mind_end(release_system):
    """After ten questions the release ends: its history must not grow for ever."""
    handle = await release_system.promote_to_approval()
    digest = ""
    for number in range(10):
        status = await release_system.until(
            handle,
            lambda s, last=digest: s.outcome or (s.stage is Stage.APPROVAL and s.digest != last),
        )
        digest = status.digest
        note = {"item": "known-issues", "by": "alice", "note": f"number {number}"}
        await handle.signal("sign_off", note)

    result = await handle.result()

    assert (result.outcome, result.reason) == (
        Outcome.EXPIRED,
        "asked 10 times, and changed each time",
    )
    events = without_tasks((await handle.fetch_history()).events)
    assert events < 320


async def test_newer_promotion_supersedes_one_that_waits(release_system):
    """The older ends and says by what; the newer one tells it when it asks for approval itself."""
    handle = await release_system.promote_to_approval()
    told = release_system.script.superseding
    await release_system.until(handle, lambda _: bool(told))  # beside the question
    assert told[0].sha == "a" * 40

    await handle.signal("supersede", {"by": "promotion/crypto-watch/bbb", "version": "1.2.4"})

    result = await handle.result()
    assert result.outcome is Outcome.SUPERSEDED
    assert result.reason == "superseded by promotion/crypto-watch/bbb 1.2.4"


async def test_release_that_deploys_is_not_superseded(release_system):
    """A newer one never interrupts a shift."""
    release_system.script.hold_at = lambda order: True
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    await handle.signal("supersede", {"by": "promotion/crypto-watch/bbb"})

    status = await release_system.until(handle, lambda s: s.inbox[-1].kind == "supersede")
    assert status.inbox[-1].accepted is False
    assert status.inbox[-1].text == "the deploy has begun; use abort to stop the release"
    await handle.signal("abort")
    assert (await handle.result()).outcome is Outcome.ABORTED


# --- while it waits ---


async def test_day_of_waiting_with_reminders_is_lean(release_system):
    """24 hours in approval with three reminders cost under 60 history events."""
    handle = await release_system.promote_to_approval(policy=parse_policy(TEXT + CHANNEL))
    before = (await handle.describe()).history_length
    told = [notice.event for notice in release_system.script.notices]

    await release_system.environment.fast_forward(handle, timedelta(hours=25))
    await handle.result()

    assert told == ["started", "announced", "approval_requested"]
    reminders = release_system.script.notices[3:6]
    assert [notice.event for notice in reminders] == ["reminder"] * 3
    assert "technical lead, operations lead" in reminders[0].title
    assert (await handle.describe()).history_length - before < 60


async def test_channel_that_is_down_blocks_nothing(release_system):
    """Nobody could be told: the item is inconclusive until it is waived; approval goes on."""
    release_system.script.deliver = lambda channel: "HTTP 500"
    handle = await release_system.promote(policy=parse_policy(TEXT + CHANNEL))
    await release_system.sign_off_all(handle)
    await release_system.until(
        handle, lambda s: any(item.answer.value == "inconclusive" for item in s.items)
    )
    for item in ("team-notified", "rollback-communicated"):
        waiver = {"item": item, "by": "alice", "reason": "told them in person"}
        await handle.execute_update("waive", waiver)
    await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL and s.digest)
    await release_system.approve(handle)

    assert (await handle.result()).outcome is Outcome.COMPLETED

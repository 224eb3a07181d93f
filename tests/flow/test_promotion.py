"""Every arrow of the diagram, the failure arrows first."""

import asyncio
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from release.decisions import Decision, SignOff
from release.promotion import Outcome, Stage
from release.verdict import Verdict
from tests.flow.release_system import without_tasks

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NEW = "1", "2"
SIGN_OFF = {"item": "manual-verification", "by": "alice"}


async def test_commit_without_a_build_fails_and_nothing_is_deployed(release_system):
    """A commit that cannot be built fails with the reason; no environment changes."""
    release_system.script.build_error = ApplicationError("no api_lambda", non_retryable=True)
    handle = await release_system.promote()

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert "no api_lambda" in str(failure.value.cause)
    assert release_system.aws.writes == []
    assert (await release_system.status(handle)).outcome is Outcome.FAILED


async def test_failed_integration_test_ends_as_needs_fix(release_system):
    """A commit that fails its tests goes back to its author with the evidence."""
    release_system.script.test_verdict = Verdict.FAILED
    result = await (await release_system.promote()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert "a test: seen" in result.reason
    assert release_system.aws.serves() == {OLD: 1}


async def test_failed_check_ends_as_needs_fix_before_anybody_is_asked(release_system):
    """A failed checklist item is the diagram's arrow back: nobody is asked for approval."""
    release_system.script.checks = lambda name: (
        Verdict.FAILED if name == "precision" else Verdict.PASSED
    )
    result = await (await release_system.promote()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert release_system.aws.serves() == {OLD: 1}


async def test_failed_sign_off_ends_as_needs_fix(release_system):
    """A person who saw something wrong in staging stops the release, with the note."""
    handle = await release_system.promote()
    await handle.signal("sign_off", SIGN_OFF | {"passed": False, "note": "prices look odd"})

    result = await handle.result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert "prices look odd" in result.reason


async def test_missing_sign_off_expires(release_system):
    """A checklist nobody completes ends as expired after its time, not never."""
    handle = await release_system.promote()
    await release_system.until(handle, lambda s: s.stage is Stage.CHECKLIST and s.next and s.items)

    await release_system.environment.fast_forward(handle, timedelta(hours=25))

    assert (await handle.result()).outcome is Outcome.EXPIRED


async def test_rejected_release_leaves_production_alone(release_system):
    """A rejection ends the promotion with the approver's words."""
    handle = await release_system.promote_to_approval()
    await handle.signal("reject", {"approver": "bob", "comment": "not today"})

    result = await handle.result()

    assert result.outcome is Outcome.REJECTED
    assert result.reason == "rejected by bob: not today"
    assert release_system.aws.serves() == {OLD: 1}


async def test_undecided_release_is_refused_after_24_hours(release_system):
    """A release nobody decides on is refused, and production keeps its version."""
    handle = await release_system.promote_to_approval()

    await release_system.environment.fast_forward(handle, timedelta(hours=25))

    assert (await handle.result()).outcome is Outcome.EXPIRED
    assert release_system.aws.serves() == {OLD: 1}


async def test_good_release_climbs_every_step_and_takes_both_functions(release_system):
    """A good release goes 10 % a step to 100 %; the fetcher follows the API."""
    handle = await release_system.promote_and_pass_gates()

    result = await handle.result()

    assert result.outcome is Outcome.COMPLETED
    pre_ramp = [0.02, 0.0262, 0.0342, 0.0447, 0.0585, 0.0765]
    weights = [*pre_ramp, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0]
    ends_lease = 0
    assert release_system.aws.weights() == pytest.approx([*weights, ends_lease])
    assert release_system.aws.serves("api") == {NEW: 1}
    assert release_system.aws.serves("fetcher") == {NEW: 1}
    assert release_system.script.armed == []
    status = await release_system.status(handle)
    assert [step.judgement.verdict for step in status.steps] == [Verdict.PASSED] * 15


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
async def test_step_not_judged_good_rolls_back(release_system, verdict):
    """Judged bad and not judgeable both put the old version back, whole."""
    script = release_system.script
    script.judge = lambda order: script.judgement(
        verdict if order.weight == 0.3 else Verdict.PASSED, "too many failures"
    )
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason == "at 30 %: too many failures"
    assert release_system.aws.serves("api") == {OLD: 1}
    assert release_system.aws.serves("fetcher") == {OLD: 1}
    assert script.armed == []


async def test_bad_news_at_100_percent_rolls_back(release_system):
    """The watch after the last step still brings the old version back."""
    script = release_system.script
    script.judge = lambda order: script.judgement(
        Verdict.FAILED if order.weight == 1 else Verdict.PASSED
    )
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert release_system.aws.serves() == {OLD: 1}


async def test_abort_while_shifting_rolls_back(release_system):
    """`abort` at 20 % puts the old version back and says who asked."""
    release_system.script.hold_at = lambda order: order.weight == 0.2
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    await handle.signal("abort", {"by": "carol", "reason": "customers call"})
    result = await handle.result()

    assert result.outcome is Outcome.ABORTED
    assert result.reason == "aborted by carol: customers call"
    assert release_system.aws.serves() == {OLD: 1}


async def test_abort_with_an_empty_box_is_heeded(release_system):
    """In an emergency nobody is turned away for an empty form."""
    handle = await release_system.promote()
    await release_system.until(handle, lambda s: s.stage is Stage.CHECKLIST)

    await handle.signal("abort")

    assert (await handle.result()).outcome is Outcome.ABORTED


async def test_cancellation_while_shifting_rolls_back_and_stays_a_cancellation(release_system):
    """Cancelled in Temporal at 20 %: the old version is back before the workflow closes."""
    release_system.script.hold_at = lambda order: order.weight == 0.2
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert release_system.aws.serves() == {OLD: 1}


async def test_failure_after_the_alias_moved_rolls_back(release_system):
    """A step that breaks for good leaves no mixed alias behind."""
    release_system.script.judge = lambda order: (_ for _ in ()).throw(
        ApplicationError("broken", non_retryable=True)
    )
    handle = await release_system.promote_and_pass_gates()

    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert release_system.aws.weights()[0] == pytest.approx(0.02)
    assert release_system.aws.serves() == {OLD: 1}


async def test_rollback_outlasts_an_outage_of_aws(release_system):
    """A rollback that AWS refuses again and again is tried until it works."""
    script, aws = release_system.script, release_system.aws

    def judge(order):
        aws.fail_updates_with += [ClientError({"Error": {"Code": "500"}}, "UpdateAlias")] * 3
        return script.judgement(Verdict.FAILED)

    script.judge = judge
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert aws.serves() == {OLD: 1}


async def test_foreign_change_stops_the_shift_and_is_not_overwritten_by_a_step(release_system):
    """Somebody edits the alias by hand at 2 %: the next step stops and shows both states."""
    script, aws = release_system.script, release_system.aws

    def judge(order):
        aws.aliases[order.watched.function] |= {
            "RoutingConfig": {"AdditionalVersionWeights": {NEW: 0.77}},
            "RevisionId": "a person's",
        }
        return script.judgement(Verdict.PASSED)

    script.judge = judge
    handle = await release_system.promote_and_pass_gates()
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert "version 1 with 77 % on version 2" in str(failure.value.cause)
    assert release_system.aws.weights() == pytest.approx([0.02, 0])


async def test_alias_in_use_by_another_release_is_refused(release_system):
    """Two releases never shift one alias: the second says so and changes nothing."""
    routing = {"AdditionalVersionWeights": {"1": 0.3}}
    release_system.aws.aliases["crypto-watch-api-prod"]["RoutingConfig"] = routing
    handle = await release_system.promote_and_pass_gates()
    await release_system.until(handle, lambda s: "may be a rollback drill" in s.next)
    await release_system.environment.fast_forward(handle, timedelta(minutes=4))

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert "being shifted by another release" in str(failure.value.cause)
    assert release_system.aws.weights() == []


@pytest.mark.parametrize(
    ("payloads", "refusal"),
    [
        ([], "empty payload"),
        (["yes"], "payload: Input should be a valid dictionary"),
        ([{"approver": "alice", "colour": "red"}], "colour: Extra inputs are not permitted"),
        ([{"approver": "mallory"}], "mallory is not an approver; who may: alice"),
        ([{}, {}], "who are you? send"),
    ],
)
async def test_malformed_approval_is_refused_and_the_promotion_lives(
    release_system, payloads, refusal
):
    """Whatever the Temporal UI sends is answered in the record; the workflow goes on."""
    handle = await release_system.promote_to_approval()
    before = len((await release_system.status(handle)).inbox)
    await handle.signal("approve", args=payloads)

    status = await release_system.until(handle, lambda s: len(s.inbox) > before)

    refused = [record for record in status.inbox if not record.accepted]
    assert [record.kind for record in refused] == ["approve"]
    assert refused[0].text.startswith(refusal)
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_requester_cannot_approve(release_system):
    """Nobody lets their own release in."""
    handle = await release_system.promote(requested_by="alice")

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("approve", Decision(approver="alice"))

    assert "requested this release" in str(refused.value.cause)
    await handle.signal("abort")
    await handle.result()


async def test_updates_answer_the_sender(release_system):
    """The CLI's door: accepted in order, in advance, and refused when it is too late."""
    handle = await release_system.promote()
    for name in ("alice", "bob"):
        await handle.execute_update("approve", Decision(approver=name))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("approve", Decision(approver="alice"))
    assert "alice has approved already" in str(refused.value.cause)
    await handle.execute_update("sign_off", SignOff(**SIGN_OFF))
    await release_system.sign_off_all(handle, leave_out=(SIGN_OFF["item"],))

    assert (await handle.result()).outcome is Outcome.COMPLETED


async def test_history_of_a_whole_promotion_is_lean(release_system):
    """A whole promotion stays under 300 events on a quiet machine, whatever the polling rate."""
    handle = await release_system.promote_and_pass_gates()
    await handle.result()

    events = (await handle.fetch_history()).events

    assert without_tasks(events) < 175

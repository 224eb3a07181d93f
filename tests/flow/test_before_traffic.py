"""Preflight, smoke and quarantine: what stops a release before, and after, users met it."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from release.lease import Hand, Note
from release.promotion import Outcome, Stage
from release.records import RecordResult
from release.verdict import CheckResult, Verdict
from tests.flow.release_system import SHA

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NEW = "1", "2"


def seen(verdict: Verdict) -> list[CheckResult]:
    """One check of the preflight."""
    return [CheckResult(id="pin", text="target pinned", verdict=verdict, evidence="as it is")]


async def test_failed_preflight_ends_the_promotion_before_anybody_is_asked(release_system):
    """Without a way back nobody is asked to go forward."""
    release_system.script.preflights = [seen(Verdict.FAILED)]

    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert result.reason == "preflight: target pinned: as it is"
    assert release_system.aws.writes == [
        write for write in release_system.aws.writes if "staging" in write[0]
    ]


async def test_preflight_is_repeated_before_traffic_moves(release_system):
    """What was there when it was shown can be gone a day later."""
    release_system.script.preflights = [seen(Verdict.PASSED), seen(Verdict.FAILED)]

    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert release_system.aws.serves() == {OLD: 1}


async def test_preflight_that_could_not_be_measured_is_for_the_approvers(release_system):
    """A production that nobody asked for hours can still be released to; they see why."""
    release_system.script.preflights = [seen(Verdict.INCONCLUSIVE), seen(Verdict.INCONCLUSIVE)]

    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.COMPLETED


async def test_approver_sees_the_preflight(release_system):
    """With its evidence, before the decision."""
    handle = await release_system.promote_to_approval()

    status = await release_system.status(handle)

    assert status.stage is Stage.APPROVAL
    assert [check.text for check in status.preflight] == ["check preflight"]
    await handle.signal("abort")
    await handle.result()


async def test_failed_smoke_moves_no_traffic(release_system):
    """The new version was broken: seen by its number, with no user on it."""
    release_system.script.smoke_verdict = Verdict.FAILED

    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason == "smoke at weight 0: check smoke: seen"
    assert [smoke.versions for smoke in release_system.script.smoked] == [
        {"api": NEW, "fetcher": NEW}
    ]
    assert not any(release_system.aws.weights())


async def test_commit_that_was_rolled_back_is_quarantined(release_system):
    """It does not come back by itself: the second promotion is refused, with the reason."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED, "worse")
    result = await (await release_system.promote_and_pass_gates()).result()
    assert result.outcome is Outcome.ROLLED_BACK
    assert list(script.quarantined.values()) == ["at 2 %: worse"]

    again = await release_system.promote()
    with pytest.raises(WorkflowFailureError) as refused:
        await again.result()

    assert "quarantined" in str(refused.value.cause)


async def test_quarantine_that_cannot_be_asked_is_waited_for(release_system):
    """A table that is down for a while neither lets a commit pass nor fails its promotion."""
    release_system.script.table_down_for = 8  # more than any other call to AWS is tried
    handle = await release_system.promote()
    for _ in range(8):
        await release_system.environment.fast_forward(handle, timedelta(minutes=1))
    await release_system.until(handle, lambda s: s.stage is not Stage.BUILD)

    assert release_system.script.table_down_for == 0
    await handle.signal("abort")
    await handle.result()


async def test_abort_quarantines_nothing(release_system):
    """A person's word says nothing of the commit."""
    script = release_system.script
    script.hold_at = lambda order: order.weight == 0.2
    handle = await release_system.promote_and_pass_gates()
    await script.holding.wait()
    await handle.signal("abort")

    assert (await handle.result()).outcome is Outcome.ABORTED
    assert script.quarantined == {}


async def test_rollback_does_not_wait_for_the_quarantine(release_system):
    """The store is away: the old version is back all the same, and the record makes up for it."""
    script = release_system.script
    script.quarantine_error = ApplicationError("no table", non_retryable=True)
    script.judge = lambda order: script.judgement(Verdict.FAILED, "worse")
    handle = await release_system.promote_and_pass_gates()

    result = await handle.result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert release_system.aws.serves() == {OLD: 1}
    assert any("no table" in record.text for record in (await release_system.status(handle)).inbox)
    record = release_system.environment.client.get_workflow_handle(
        f"record/crypto-watch/{SHA[:12]}/{handle.first_execution_run_id[-8:]}",
        result_type=RecordResult,
    )
    kept = {part.what: part.done for part in (await record.result()).kept}
    assert kept["quarantine"]
    assert SHA in script.quarantined


async def test_intervention_stands_in_the_next_promotions_record(release_system):
    """What was done with break-glass while Temporal was down is not forgotten."""
    at = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
    note = Note(hand=Hand.BREAK_GLASS, by="alice", reason="Temporal was down", at=at)
    release_system.script.notes = [note]
    handle = await release_system.promote_to_approval()

    inbox = (await release_system.status(handle)).inbox

    (intervention,) = (record for record in inbox if record.kind == "break-glass")
    assert intervention.by == "alice"
    assert intervention.text == "Temporal was down (2026-11-24 03:12 UTC)"
    await handle.signal("abort")
    await handle.result()

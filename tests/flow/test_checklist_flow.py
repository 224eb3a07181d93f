"""The checklist in the flow: failed, inconclusive, waived, withdrawn, and the report."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from release.checklist import Answer
from release.promotion import Outcome, Stage
from release.verdict import Verdict

pytestmark = pytest.mark.asyncio(loop_scope="session")


def answer_of(status, item: str) -> Answer:
    return next(state.answer for state in status.items if state.id == item)


async def refused(handle, update: str, payload: dict) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await handle.execute_update(update, payload)
    return error.value.cause.message


async def test_failed_items_come_back_with_a_report(release_system):
    """All that failed at once, with its evidence and the next command: not one by one."""
    release_system.script.checks = lambda name: (
        Verdict.FAILED if name in ("precision", "lint") else Verdict.PASSED
    )
    handle = await release_system.promote()

    result = await handle.result()

    report = (await release_system.status(handle)).report
    assert result.outcome is Outcome.NEEDS_FIX
    assert "Data precision correct" in report
    assert "Code Quality: No linting errors" in report
    assert "Production was not touched" in report
    assert "starter.py promote main" in report


async def test_inconclusive_item_is_tried_again_until_it_can_be_measured(release_system):
    """What could not be measured neither passes nor fails the release."""
    measured = release_system.script.measured
    release_system.script.checks = lambda name: (
        Verdict.INCONCLUSIVE
        if name == "metrics" and measured.count("metrics") < 3
        else Verdict.PASSED
    )
    handle = await release_system.promote()
    await release_system.sign_off_all(handle)
    await release_system.until(handle, lambda s: answer_of(s, "metrics") is Answer.INCONCLUSIVE)

    await release_system.environment.fast_forward(handle, timedelta(minutes=20))

    status = await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL)
    assert answer_of(status, "metrics") is Answer.PASSED
    assert measured.count("metrics") == 3
    assert measured.count("endpoints") == 1
    await handle.signal("abort")
    await handle.result()


async def test_inconclusive_item_is_waived_by_a_named_role_with_a_reason(release_system):
    """The waiver stands in the record with its giver; nothing else can be waived."""
    release_system.script.checks = lambda name: (
        Verdict.INCONCLUSIVE if name == "memory" else Verdict.PASSED
    )
    handle = await release_system.promote()
    await release_system.sign_off_all(handle)
    await release_system.until(handle, lambda s: answer_of(s, "memory") is Answer.INCONCLUSIVE)
    waiver = {"item": "memory", "by": "alice", "reason": "no REPORT lines today"}

    assert "may not waive" in await refused(handle, "waive", waiver | {"by": "paula"})
    assert "reason: " in await refused(handle, "waive", waiver | {"reason": ""})
    assert "only an inconclusive item" in await refused(
        handle, "waive", waiver | {"item": "endpoints"}
    )
    assert "no item 'memmory'" in await refused(handle, "waive", waiver | {"item": "memmory"})
    await handle.execute_update("waive", waiver)

    status = await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL)
    assert answer_of(status, "memory") is Answer.WAIVED
    assert answer_of(status, "staging-validation") is Answer.PASSED
    await handle.signal("abort")
    await handle.result()


async def test_failed_item_cannot_be_waived_away(release_system):
    """Measured and found wrong ends the release, whoever would rather not."""
    release_system.script.checks = lambda name: (
        Verdict.FAILED if name == "memory" else Verdict.PASSED
    )
    handle = await release_system.promote()
    await handle.signal("waive", {"item": "memory", "by": "alice", "reason": "it is fine"})

    assert (await handle.result()).outcome is Outcome.NEEDS_FIX


async def test_sign_off_is_withdrawn_by_its_giver_alone(release_system):
    """Nobody takes back another's word."""
    handle = await release_system.promote()
    await handle.execute_update("sign_off", {"item": "known-issues", "by": "alice"})

    assert "who alone may withdraw it" in await refused(
        handle, "withdraw", {"by": "bob", "item": "known-issues"}
    )
    await handle.execute_update("withdraw", {"by": "alice", "item": "known-issues"})
    assert "has no sign-off" in await refused(
        handle, "withdraw", {"by": "alice", "item": "known-issues"}
    )
    await handle.signal("abort")
    await handle.result()


async def test_sign_off_is_changed_by_its_giver_alone(release_system):
    """A failed answer is not painted over by somebody else."""
    handle = await release_system.promote()
    await handle.execute_update("sign_off", {"item": "manual-verification", "by": "alice"})

    assert "who alone may change it" in await refused(
        handle, "sign_off", {"item": "manual-verification", "by": "bob"}
    )
    await handle.signal("abort")
    await handle.result()


async def test_long_message_is_refused(release_system):
    """The record is shown and queried whole: a flood of text would blind everybody."""
    handle = await release_system.promote()

    said = await refused(
        handle, "sign_off", {"item": "readme", "by": "alice", "note": "x" * 1_000_000}
    )

    assert said.startswith("note: String should have at most 1000 characters")
    assert len((await release_system.status(handle)).inbox[0].text) < 300
    await handle.signal("abort")
    await handle.result()


async def test_checks_that_cannot_run_at_all_are_inconclusive(release_system):
    """An activity that fails for good concludes nothing: the items are tried again, or waived."""
    failing = [True]

    def broken(name: str) -> Verdict:
        if name == "lint" and failing:
            raise ApplicationError("no disk", non_retryable=True)
        return Verdict.PASSED

    release_system.script.checks = broken
    handle = await release_system.promote()
    await release_system.sign_off_all(handle)
    status = await release_system.until(
        handle, lambda s: answer_of(s, "lint") is Answer.INCONCLUSIVE
    )
    assert answer_of(status, "tests") is Answer.INCONCLUSIVE
    assert answer_of(status, "endpoints") is Answer.PASSED
    failing.clear()

    await release_system.environment.fast_forward(handle, timedelta(minutes=6))

    await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL)
    await handle.signal("abort")
    await handle.result()


async def test_checklist_that_nobody_completes_expires_and_says_what_is_open(release_system):
    """What was never answered is named."""
    handle = await release_system.promote()
    await release_system.sign_off_all(handle, leave_out=("readme",))
    await release_system.until(handle, lambda s: answer_of(s, "tests") is Answer.PASSED)

    await release_system.environment.fast_forward(handle, timedelta(hours=25))

    result = await handle.result()
    assert result.outcome is Outcome.EXPIRED
    assert result.reason.endswith(": readme")


@pytest.mark.parametrize("update", ["sign_off", "waive", "withdraw", "reject", "approve"])
@pytest.mark.parametrize("payload", [None, "x", [], {"x": 1}], ids=str)
async def test_malformed_update_is_answered_and_recorded(release_system, update, payload):
    """Whatever is sent, the sender hears why not, the record has it, the promotion lives."""
    handle = await release_system.promote()

    assert "send {" in await refused(handle, update, payload)

    status = await release_system.status(handle)
    assert [record.accepted for record in status.inbox] == [False]
    await handle.signal("abort")
    assert (await handle.result()).outcome is Outcome.ABORTED

"""The staging validation checklist: measured where a machine can, signed off where not."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.checklist import StagingChecks
    from release.promotion import CheckResult, Outcome, Stage, Verdict

from release.decisions import SignOff
from workflows import options
from workflows.state import Ended, PromotionState
from workflows.steps.staging import staging_input


async def complete_checklist(state: PromotionState) -> None:
    """Every item is answered and none failed.

    Raises:
        Ended: needs fix, with the items that failed; expired, if nobody signed off in time.
    """
    timeout = state.policy.checklist.timeout
    deadline = workflow.now() + timeout
    state.show(waiting_for=tuple(item.id for item in state.policy.checklist.manual))
    state.enter(Stage.CHECKLIST, "measure staging, then wait for the manual sign-offs", deadline)
    results = await workflow.execute_activity_method(
        StagingChecks.check_staging,
        staging_input(state),
        summary="measure the machine-checked items against staging",
        **options.CHECKS,
    )
    state.show(checks=(*state.status.checks, *results))
    _end_on_failure(results)
    try:
        await workflow.wait_condition(
            lambda: _answered(state), timeout=timeout, timeout_summary="manual sign-offs are due"
        )
    except TimeoutError:
        waiting = ", ".join(state.status.waiting_for)
        raise Ended(Outcome.EXPIRED, f"nobody signed off {waiting} within {timeout}") from None
    state.stop_if_aborted()
    manual = tuple(_manual_result(state, item.id) for item in state.policy.checklist.manual)
    state.show(checks=(*state.status.checks, *manual), waiting_for=())
    _end_on_failure(list(manual))


def _answered(state: PromotionState) -> bool:
    items = [item.id for item in state.policy.checklist.manual]
    waiting = tuple(item for item in items if item not in state.sign_offs)
    if waiting != state.status.waiting_for:
        state.show(waiting_for=waiting)
    failed = any(not sign_off.passed for sign_off in state.sign_offs.values())
    return failed or not waiting or state.stopping


def _manual_result(state: PromotionState, item_id: str) -> CheckResult:
    text = next(item.text for item in state.policy.checklist.manual if item.id == item_id)
    sign_off: SignOff | None = state.sign_offs.get(item_id)
    if sign_off is None:
        return CheckResult(
            id=item_id, text=text, verdict=Verdict.INCONCLUSIVE, evidence="not signed off"
        )
    return CheckResult(
        id=item_id,
        text=text,
        verdict=Verdict.PASSED if sign_off.passed else Verdict.FAILED,
        evidence=f"{sign_off.by}: {sign_off.note or 'signed off'}",
    )


def _end_on_failure(results: list[CheckResult]) -> None:
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    if failed:
        reasons = "; ".join(f"{result.text}: {result.evidence}" for result in failed)
        raise Ended(Outcome.NEEDS_FIX, f"checklist failed: {reasons}")

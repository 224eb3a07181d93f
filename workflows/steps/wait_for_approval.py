"""Wait for the quorum, with reminders; approvals may have come before they were asked for."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.promotion import Outcome, Stage

from release.quorum import is_complete
from workflows.state import Ended, PromotionState, role_names
from workflows.steps.announce import remind


async def wait_for_approval(state: PromotionState) -> bool:
    """True once every role that is asked agrees; False if what they agree to has changed.

    Raises:
        Ended: rejected, superseded, or expired when the question stood too long.
    """
    approval = state.policy.approval
    deadline = workflow.now() + approval.timeout
    state.enter(
        Stage.APPROVAL, f"production, as soon as these agree: {role_names(state)}", deadline
    )
    while not (is_complete(state.quorum()) or state.has_changed()):
        left = deadline - workflow.now()
        pause = min(left, approval.remind_every) if approval.remind_every else left
        try:
            await state.wait(
                lambda: is_complete(state.quorum()) or state.has_changed(),
                pause,
                "remind the approvers" if pause < left else "an undecided release is refused",
            )
        except TimeoutError:
            if workflow.now() >= deadline:
                raise Ended(Outcome.EXPIRED, _undecided(state, approval.timeout)) from None
            remind(state, deadline)
    state.stop_if_aborted()
    state.end_if_over()
    return not state.has_changed()


def _undecided(state: PromotionState, timeout: timedelta) -> str:
    missing = ", ".join(
        role.role.replace("_", " ") for role in state.quorum() if not role.is_filled
    )
    return f"no approval by {missing} within {timeout}"

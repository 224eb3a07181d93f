"""Request approval and wait for it; it may have come before it was asked for."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.promotion import Outcome, Stage

from workflows.state import Ended, PromotionState


async def wait_for_approval(state: PromotionState) -> None:
    """An approver let the release into production.

    Raises:
        Ended: rejected, or expired when the question stood too long.
    """
    timeout = state.policy.approval.timeout
    state.enter(
        Stage.APPROVAL, "production, as soon as one approver says yes", workflow.now() + timeout
    )
    try:
        await workflow.wait_condition(
            lambda: state.decision is not None or state.stopping,
            timeout=timeout,
            timeout_summary="an undecided release is refused",
        )
    except TimeoutError:
        raise Ended(Outcome.EXPIRED, f"nobody decided within {timeout}") from None
    state.stop_if_aborted()
    assert state.decision is not None  # noqa: S101  what was waited for
    approved, decision = state.decision
    if not approved:
        because = f": {decision.comment}" if decision.comment else ""
        raise Ended(Outcome.REJECTED, f"rejected by {decision.approver}{because}")

"""The last rollback drill: shown to the approvers, and by policy a condition of asking them."""

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.drill_records import DrillRecords
    from activities.inputs import DrillsInput
    from release.drill import DrillResult, drill_objection, last_drill_text
    from release.promotion import Outcome

from workflows import options
from workflows.state import Ended, PromotionState


async def look_at_last_drill(state: PromotionState) -> None:
    """The approvers will read of it.

    Raises:
        Ended: needs fix, where the policy requires a drill and there is no good and fresh one.
        FailureError: it is required, and Temporal does not say.
    """
    drill = state.policy.drill
    try:
        last = await _find(state)
    except FailureError as failure:
        if drill.required or is_cancelled_exception(failure):
            raise
        state.last_drill = f"unknown: {failure.cause or failure}"
        return
    state.last_drill = last_drill_text(last, workflow.now(), drill)
    objection = drill_objection(last, workflow.now(), drill) if drill.required else ""
    if objection:
        raise Ended(Outcome.NEEDS_FIX, objection)


async def _find(state: PromotionState) -> DrillResult | None:
    drill = state.policy.drill
    return await workflow.execute_activity_method(
        DrillRecords.find_last_drill,
        DrillsInput(service=state.policy.service, environment=drill.environment),
        summary="when was the rollback drilled last?",
        **(options.AWS_CALL if drill.required else options.NOTICE),
    )

"""The request is what its commit says, and how approvals are proved is the worker's word."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.admission import Admission

from workflows import options
from workflows.state import PromotionState
from workflows.steps.quarantine import refuse_quarantined


async def admit(state: PromotionState) -> None:
    """The promotion may begin; from now on approvals are taken in."""
    admitted = await workflow.execute_activity_method(
        Admission.admit_request,
        state.request,
        summary="the request's policy is the commit's own",
        **options.AWS_CALL,
    )
    state.temporal_ui = admitted.temporal_ui
    state.is_admitted = True
    state.show(proof_needed=not admitted.accepts_claims)
    await refuse_quarantined(state)

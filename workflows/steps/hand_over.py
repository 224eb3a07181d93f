"""What goes on after a promotion's end, in workflows of their own."""

from temporalio import workflow
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from release.records import RecordRequest

from workflows.record import RecordWorkflow
from workflows.state import PromotionState, address


async def hand_over(state: PromotionState) -> None:
    """The record is being written; the promotion does not wait for it."""
    request = RecordRequest(
        promotion=state.request,
        status=state.status,
        run_id=workflow.info().run_id,
        address=address(state),
    )
    await workflow.start_child_workflow(
        RecordWorkflow.run,
        request,
        id=request.workflow_id,
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"the record of {request.status.service} {request.status.version}",
    )

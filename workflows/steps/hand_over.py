"""What goes on after a promotion's end, in workflows of their own."""

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from release.post_deploy import PostDeployRequest
    from release.promotion import Outcome
    from release.records import RecordRequest

from workflows.post_deploy import WATCHING, PostDeployWorkflow
from workflows.record import RecordWorkflow
from workflows.state import SERVICE, SHA, STAGE, VERSION, PromotionState, address


async def hand_over(state: PromotionState) -> None:
    """The record is being written, and a release that is live is watched; neither is waited for."""
    starting = [_record(state)]
    # a policy without any item, as all had once, starts none: what was recorded so replays
    if state.status.outcome is Outcome.COMPLETED and state.policy.post_deploy.items():
        starting.append(_watch(state))
    await asyncio.gather(*starting)


async def _record(state: PromotionState) -> None:
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


async def _watch(state: PromotionState) -> None:
    request = PostDeployRequest(
        promotion=state.request,
        run_id=workflow.info().run_id,
        released_at=workflow.now(),
        published=state.status.published,
        baseline=state.status.baseline,
        red_before=state.red_before,
        temporal_ui=state.temporal_ui,
    )
    await workflow.start_child_workflow(
        PostDeployWorkflow.run,
        request,
        id=request.workflow_id,
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"the day after {state.status.service} {state.status.version}",
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(SERVICE, state.policy.service),
                SearchAttributePair(SHA, state.request.sha),
                SearchAttributePair(VERSION, state.request.version),
                SearchAttributePair(STAGE, WATCHING),
            ]
        ),
    )

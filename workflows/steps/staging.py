"""What the checks of staging are asked."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import StagingInput

from workflows.state import PromotionState


def staging_input(state: PromotionState) -> StagingInput:
    """The commit as it should run in staging."""
    return StagingInput(
        service=state.policy.service,
        environment="staging",
        sha=state.request.sha,
        checklist=state.policy.checklist,
    )

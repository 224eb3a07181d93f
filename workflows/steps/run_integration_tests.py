"""Integration tests against staging's HTTP address."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.integration_tests import IntegrationTests
    from release.promotion import Outcome, Stage, Verdict

from workflows import options
from workflows.state import Ended, PromotionState
from workflows.steps.staging import staging_input


async def run_integration_tests(state: PromotionState) -> None:
    """Every integration test passed.

    Raises:
        Ended: needs fix, with the tests that failed.
    """
    state.enter(Stage.TESTS, "integration tests, then the checklist")
    results = await workflow.execute_activity_method(
        IntegrationTests.run_integration_tests,
        staging_input(state),
        summary="integration tests against staging",
        **options.CHECKS,
    )
    state.show(checks=(*state.status.checks, *results))
    failed = [check for check in results if check.verdict is not Verdict.PASSED]
    if failed:
        reasons = "; ".join(f"{check.text}: {check.evidence}" for check in failed)
        raise Ended(Outcome.NEEDS_FIX, f"integration tests failed: {reasons}")

"""Integration tests against staging's HTTP address."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import StagingInput
    from activities.integration_tests import IntegrationTests
    from release.promotion import Outcome, Stage
    from release.verdict import Verdict

from workflows import options
from workflows.state import Ended, PromotionState


async def run_integration_tests(state: PromotionState) -> None:
    """Every integration test passed.

    Raises:
        Ended: needs fix, with the tests that failed.
    """
    state.enter(Stage.TESTS, "integration tests, then the checklist")
    results = await workflow.execute_activity_method(
        IntegrationTests.run_integration_tests,
        StagingInput(
            service=state.policy.service,
            environment="staging",
            sha=state.request.sha,
            cases=state.policy.contract,
        ),
        summary="integration tests against staging",
        **options.CHECKS,
    )
    state.show(tests=tuple(results))
    failed = [check for check in results if check.verdict is not Verdict.PASSED]
    if failed:
        reasons = "; ".join(f"{check.text}: {check.evidence}" for check in failed)
        raise Ended(Outcome.NEEDS_FIX, f"integration tests failed: {reasons}")

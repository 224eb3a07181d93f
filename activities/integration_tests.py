"""Integration tests: the service's contract, over HTTP, against staging."""

from temporalio import activity

from activities.contract_cases import CASES
from activities.inputs import StagingInput
from activities.staging import Check, Staging
from release.verdict import CheckResult


class IntegrationTests:
    """Runs each case against the commit that staging serves."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    @activity.defn
    def run_integration_tests(self, order: StagingInput) -> list[CheckResult]:
        """One result per case. Raises when staging cannot be reached, which says nothing of it."""
        results = []
        with self._staging.client(order) as client:
            for name in order.cases:
                text, case = CASES[name]
                check = Check(name, text)
                case(client, order.sha, check)
                results.append(check.result())
        return results

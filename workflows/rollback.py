"""A manual rollback of production to a version that Lambda still has."""

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.traffic import Traffic
    from release.promotion import AliasState
    from release.rollback import RollbackRequest, RollbackResult

from workflows import options


@workflow.defn
class RollbackWorkflow:
    """Points every function of the service at the version of a release that ran before."""

    @workflow.run
    async def run(self, request: RollbackRequest) -> RollbackResult:
        """Production serves the chosen versions, all of its traffic."""
        workflow.set_current_details(
            f"### {request.service} → `{request.release}`\n\n"
            f"asked for by {request.requested_by}: {request.reason}"
        )
        aliases: list[AliasState] = []
        failures: list[str] = []
        for target in request.targets:
            try:
                aliases.append(
                    await workflow.execute_activity_method(
                        Traffic.point_alias,
                        target,
                        summary=f"{target.function}: 100 % to version {target.version}",
                        **options.ROLLBACK,
                    )
                )
            except FailureError as failure:  # the other functions come back all the same
                failures.append(f"{target.function}: {failure.cause or failure}")
        return RollbackResult(aliases=tuple(aliases), failures=tuple(failures))

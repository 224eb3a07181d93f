"""The deployment record of what no promotion did: a rollback leaves it to a child of its own."""

from temporalio import workflow
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.inputs import DeploymentsInput
    from release.deployment import PRODUCTION, Change, DeploymentStatus
    from release.records import Kept
    from release.rollback import RollbackRequest

from release.deployments import known_by_name
from workflows.records.deployment import record_deployments


@workflow.defn
class DeploymentRecordWorkflow:
    """A child that goes on when its parent has ended."""

    @workflow.run
    async def run(self, order: DeploymentsInput) -> Kept:
        """The record has learned it, or refused it for good."""
        return await record_deployments(order)


async def record_rollback(request: RollbackRequest) -> None:
    """Now that the API serves it, the record is being moved to the release gone back to."""
    version, _, commit = request.release.partition(" ")
    if not request.table or not commit:
        return  # a request of before, or a version of Lambda that names no release
    now = workflow.now()
    told = [known_by_name(version, commit, Change(at=now, status=DeploymentStatus.ACTIVE))]
    for undone in request.undone:
        change = Change(
            at=undone.at or now, status=DeploymentStatus.ROLLED_BACK, reason=undone.reason
        )
        told.append(known_by_name(undone.version, undone.sha, change))
    await workflow.start_child_workflow(
        DeploymentRecordWorkflow.run,
        DeploymentsInput(table=request.table, environment=PRODUCTION, deployments=tuple(told)),
        id=f"record/rollback/{request.service}/{workflow.info().run_id[-8:]}",
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"the record: production is back on {request.release}",
    )

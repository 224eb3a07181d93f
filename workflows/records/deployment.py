"""The deployment records, one in each environment that a promotion deployed to."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.deployments import Deployments
    from activities.inputs import DeploymentsInput
    from release.deployment import Deployment
    from release.records import Kept, RecordRequest

from release.deployments import in_production, in_staging
from workflows import options


async def production_deployment(request: RecordRequest) -> Kept | None:
    """Production's record has the version; None if no traffic moved to it."""
    return await _keep(request, in_production(request))


async def staging_deployment(request: RecordRequest) -> Kept | None:
    """Staging's record has the version; None if it never got there."""
    return await _keep(request, in_staging(request))


async def record_deployments(order: DeploymentsInput) -> Kept:
    """The environment's record has learned it, however long its table is down."""
    what = f"deployment record, {order.environment}"
    try:
        recorded = await workflow.execute_activity_method(
            Deployments.record_deployments,
            order,
            summary=f"{', '.join(one.version for one in order.deployments)} in {order.table}",
            **options.RECORD,
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        reason = getattr(failure.cause, "message", None) or failure
        return Kept(what=what, done=False, text=f"{reason}; write it by hand (docs/record.md)")
    told = ", ".join(f"{one.version} {one.status.value}" for one in recorded)
    return Kept(what=what, done=True, text=f"{order.table}: {told}")


async def _keep(request: RecordRequest, told: Deployment | None) -> Kept | None:
    if told is None:
        return None
    table = request.promotion.policy.table_name(told.environment)
    return await record_deployments(
        DeploymentsInput(table=table, environment=told.environment, deployments=(told,))
    )

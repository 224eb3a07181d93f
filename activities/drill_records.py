"""What Temporal knows of the drills and promotions of a service: it is their only record."""

from temporalio import activity
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from activities.inputs import DrillsInput
from release.drill import (
    DrillOutcome,
    DrillResult,
    counts_for,
    drill_prefix,
    drilled_environment,
)
from release.promotion import Stage

_MOST = 500
MOVING = {
    "staging": (Stage.STAGING,),
    "prod": (Stage.PRODUCTION, Stage.SHIFT, Stage.BAKE, Stage.ROLLBACK),
}
"""The stages in which a promotion writes an environment's aliases."""


class DrillRecords:
    """Asks Temporal's own list of workflows."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def find_last_drill(self, order: DrillsInput) -> DrillResult | None:
        """The drill that closed last; None if there never was one.

        One that failed, was cancelled or terminated is a result that is not passed. One that was
        refused has not begun and is passed over: the one before grows stale instead.
        """
        query = (
            f"WorkflowType = 'RollbackDrillWorkflow' AND ExecutionStatus != 'Running' "
            f"AND WorkflowId STARTS_WITH '{drill_prefix(order.service)}'"
        )
        closed = [
            run
            async for run in self._client.list_workflows(query, limit=_MOST)
            if run.close_time is not None
            and _outcome(run) != DrillOutcome.REFUSED
            and counts_for(order.environment, drilled_environment(order.service, run.id))
        ]
        last = max(closed, key=lambda run: run.close_time or run.start_time, default=None)
        return await self._result(order.service, last) if last else None

    @activity.defn
    async def find_promotion_moving(self, order: DrillsInput) -> str:
        """The id of a promotion that may write the environment's aliases now; empty: none."""
        stages = ", ".join(f"'{stage.value}'" for stage in MOVING[order.environment])
        query = (
            f"WorkflowId STARTS_WITH 'promotion/{order.service}/' AND ExecutionStatus = 'Running' "
            f"AND ReleaseStage IN ({stages})"
        )
        async for run in self._client.list_workflows(query, limit=1):
            return run.id
        return ""

    async def _result(self, service: str, run: WorkflowExecution) -> DrillResult:
        why = f"the drill was {run.status.name.lower() if run.status else 'lost'}"
        if run.status is WorkflowExecutionStatus.COMPLETED:
            handle = self._client.get_workflow_handle(
                run.id, run_id=run.run_id, result_type=DrillResult
            )
            try:
                return DrillResult.model_validate(await handle.result())
            except (ValueError, RuntimeError) as error:
                why = f"its result cannot be read: {error}"
        return DrillResult(
            environment=drilled_environment(service, run.id), at=run.start_time, reason=why
        )


def _outcome(run: WorkflowExecution) -> str:
    known = {pair.key.name: pair.value for pair in run.typed_search_attributes}
    return str(known.get("ReleaseOutcome", ""))

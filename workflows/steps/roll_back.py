"""Put the baseline back: every function, whatever else is going on, until it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.codedeploy import CodeDeploy
    from activities.inputs import DeploymentInput, RollbackInput
    from activities.traffic import Traffic
    from release.policy import Strategy
    from release.promotion import AliasState, Stage

from workflows import options
from workflows.metrics import time_rollback
from workflows.state import PromotionState


async def roll_back(
    state: PromotionState, baseline: dict[str, AliasState], canary: dict[str, str]
) -> None:
    """Every alias serves its baseline again, all of it; tried without limit."""
    state.enter(Stage.ROLLBACK, "all traffic back to the old version")
    # the API first: it is what users meet, and it is also what moved last
    names = sorted(baseline, key=lambda name: name != state.policy.api)
    began = workflow.now()
    await asyncio.gather(*(_restore(baseline[name], canary.get(name)) for name in names))
    time_rollback(state.policy.service, "promotion", began)
    if state.policy.shift.strategy is Strategy.CODEDEPLOY and canary:
        # users are back on the old version; what CodeDeploy writes until it has ended is undone
        rolled_back = await _end_deployment(state)
        api = state.policy.api
        await _restore(baseline[api], canary[api], past_codedeploy=rolled_back)
    state.show(weight=0.0)


async def _restore(alias: AliasState, canary: str | None, *, past_codedeploy: bool = False) -> None:
    await workflow.execute_activity_method(
        Traffic.roll_back,
        RollbackInput(
            function=alias.function,
            alias=alias.alias,
            baseline=alias.version,
            canary=canary,
            past_codedeploy=past_codedeploy,
        ),
        summary=f"{alias.function}: 100 % back to version {alias.version}",
        **options.ROLLBACK,
    )


async def _end_deployment(state: PromotionState) -> bool:
    """CodeDeploy writes no more; whether it rolled back as well.

    If it refuses to answer for good, that stands in the record.
    """
    info = workflow.info()
    try:
        return await workflow.execute_activity_method(
            CodeDeploy.end_deployment,
            DeploymentInput(
                service=state.policy.service,
                environment="prod",
                promotion=f"{info.workflow_id}/{info.run_id}",
            ),
            summary="stop CodeDeploy's deployment, wait for its end",
            **options.END_DEPLOYMENT,
        )
    except ActivityError as error:
        refusal = f"the deployment may go on, stop it by hand: {error.cause}"
        state.note("stop-deployment", "the release system", refusal, "")
        return False


async def uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """The work is done, whatever cancellations came meanwhile."""
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            workflow.logger.warning("cancellation ignored: the rollback goes on")
    task.result()

"""Put the baseline back: every function, whatever else is going on, until it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import RollbackInput
    from activities.traffic import Traffic
    from release.promotion import AliasState, Stage

from workflows import options
from workflows.state import PromotionState


async def roll_back(
    state: PromotionState, baseline: dict[str, AliasState], canary: dict[str, str]
) -> None:
    """Every alias serves its baseline again, all of it; tried without limit."""
    state.enter(Stage.ROLLBACK, "all traffic back to the old version")
    # the API first: it is what users meet, and it is also what moved last
    names = sorted(baseline, key=lambda name: name != state.policy.api)
    await asyncio.gather(*(_restore(baseline[name], canary.get(name)) for name in names))
    state.show(weight=0.0)


async def _restore(alias: AliasState, canary: str | None) -> None:
    await workflow.execute_activity_method(
        Traffic.roll_back,
        RollbackInput(
            function=alias.function, alias=alias.alias, baseline=alias.version, canary=canary
        ),
        summary=f"{alias.function}: 100 % back to version {alias.version}",
        **options.ROLLBACK,
    )


async def uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """The work is done, whatever cancellations came meanwhile."""
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            workflow.logger.warning("cancellation ignored: the rollback goes on")
    task.result()

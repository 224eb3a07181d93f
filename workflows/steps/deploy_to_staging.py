"""Deploy to staging: publish, then all of staging's traffic at once."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from release.promotion import AliasState, Artifact, Stage

from workflows.failures import failed_as
from workflows.state import PromotionState
from workflows.steps.publish import publish_versions, read_aliases, shift
from workflows.together import together


async def deploy_to_staging(state: PromotionState, artifacts: dict[str, Artifact]) -> None:
    """Staging runs the commit, all functions of it."""
    state.enter(Stage.STAGING, "deploy to staging, then test it there")
    aliases, versions = await together(
        read_aliases(state, "staging"), publish_versions(state, "staging", artifacts)
    )
    await asyncio.gather(*(_point(state, name, aliases[name], versions[name]) for name in aliases))
    state.show(staged_at=workflow.now())


async def _point(state: PromotionState, name: str, alias: AliasState, version: str) -> None:
    """The alias serves the version, also if a rollback drill moved it and put it back meanwhile."""
    summary = f"staging: {alias.function} → version {version}"
    try:
        await shift(alias, alias.version, version, 1.0, summary)
    except ActivityError as error:
        if not failed_as(error, "ForeignChange"):
            raise
        found = (await read_aliases(state, "staging"))[name]
        if found.version != alias.version:
            raise
        await shift(found, found.version, version, 1.0, summary)

"""Deploy to staging: publish, then all of staging's traffic at once."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.promotion import Artifact, Stage

from workflows.state import PromotionState
from workflows.steps.publish import publish_versions, read_aliases, shift


async def deploy_to_staging(state: PromotionState, artifacts: dict[str, Artifact]) -> None:
    """Staging runs the commit, all functions of it."""
    state.enter(Stage.STAGING, "deploy to staging, then test it there")
    aliases = await read_aliases(state, "staging")
    versions = await publish_versions(state, "staging", artifacts)
    for name, alias in aliases.items():
        version = versions[name]
        summary = f"staging: {alias.function} → version {version}"
        await shift(alias, alias.version, version, 1.0, summary)

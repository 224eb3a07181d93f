"""Build once: one commit becomes one zip per function, the same bytes for every environment."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.build import Build
    from activities.inputs import BuildInput
    from release.promotion import Artifact, Stage

from workflows import options
from workflows.state import PromotionState


async def build_artifacts(state: PromotionState) -> dict[str, Artifact]:
    """The commit's artifacts lie in S3 under their digests; keyed by function."""
    state.enter(Stage.BUILD, "build the commit's functions, then deploy them to staging")
    policy = state.policy
    artifacts = await workflow.execute_activity_method(
        Build.build_artifacts,
        BuildInput(
            sha=state.request.sha,
            bucket=policy.artifact_bucket,
            sources={name: function.source for name, function in policy.functions.items()},
        ),
        summary=f"build {', '.join(policy.functions)} from {state.request.sha[:7]}",
        **options.BUILD,
    )
    state.artifacts = {artifact.function: artifact for artifact in artifacts}
    state.show(artifacts={name: artifact.sha256 for name, artifact in state.artifacts.items()})
    return state.artifacts

"""GitHub's own page of deployments."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.github_deployment import GitHubDeployments
    from activities.release_inputs import GitHubDeploymentInput
    from release.records import Kept, RecordRequest

from release.tagging import plain_version
from workflows.records.keep import keep


async def github_deployment(request: RecordRequest) -> Kept | None:
    """GitHub knows how the deployment ended, if users met it and a repository is configured."""
    promotion = request.promotion
    policy = promotion.policy
    if not policy.ci.repository or not (request.is_live or request.went_back):
        return None
    order = GitHubDeploymentInput(
        repository=policy.ci.repository,
        environment=policy.approval.github_environment,
        sha=promotion.sha,
        version=plain_version(promotion.version),
        promotion=request.status.workflow_id,
        run_id=request.run_id,
        succeeded=request.is_live,
        reason=request.status.reason,
        log_url=request.address,
    )
    return await keep("GitHub deployment", GitHubDeployments.show_deployment_on_github, order)

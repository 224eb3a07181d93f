"""The release's section of the changelog."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.git_release import GitRelease
    from activities.github_release import GitHubRelease
    from activities.release_inputs import ChangelogInput
    from release.records import Kept, RecordRequest

from release.tagging import live_at, plain_version
from workflows.records.keep import keep


async def changelog(request: RecordRequest) -> Kept | None:
    """A release that is live has its section on a branch, for somebody to merge."""
    if not request.is_live:
        return None
    promotion = request.promotion
    order = ChangelogInput(
        repository=promotion.policy.ci.repository,
        sha=promotion.sha,
        version=plain_version(promotion.version),
        previous=plain_version(promotion.running_version),
        staged_at=request.status.staged_at,
        live_at=live_at(request.status),
    )
    on_github, here = GitHubRelease.propose_changelog, GitRelease.write_changelog
    return await keep("changelog", on_github if order.repository else here, order)

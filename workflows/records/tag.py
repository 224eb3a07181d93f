"""The release's tag."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.git_release import GitRelease
    from activities.github_release import GitHubRelease
    from activities.release_inputs import TagInput
    from release.records import Kept, RecordRequest

from release.tagging import live_at, plain_version, tag_message
from workflows.records.keep import keep


async def tag(request: RecordRequest) -> Kept | None:
    """A release that is live has its tag, where its people look for it."""
    if not request.is_live:
        return None
    promotion = request.promotion
    order = TagInput(
        repository=promotion.policy.ci.repository,
        sha=promotion.sha,
        version=plain_version(promotion.version),
        message=tag_message(promotion),
        at=live_at(request.status),
    )
    activity = GitHubRelease.tag_on_github if order.repository else GitRelease.tag_release
    return await keep(f"tag v{order.version}", activity, order)

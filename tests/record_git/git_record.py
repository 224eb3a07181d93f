"""The parts of the record that git and GitHub keep, without those of others."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import release.channels
    import release.promotion
    import release.verdict  # noqa: F401
    from release.records import RecordRequest, RecordResult

from workflows.records.changelog import changelog
from workflows.records.github import github_deployment
from workflows.records.tag import tag

PARTS = (tag, changelog, github_deployment)


@workflow.defn
class GitRecord:
    """As `RecordWorkflow` runs them."""

    @workflow.run
    async def run(self, request: RecordRequest) -> RecordResult:
        """Every part is written, or refused for good."""
        kept = await asyncio.gather(*(part(request) for part in PARTS))
        return RecordResult(kept=tuple(one for one in kept if one is not None))

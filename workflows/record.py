"""The record of a promotion that has ended: written once each, however long its places are down."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import release.audit_chain
    import release.audit_export
    import release.channels
    import release.deployment
    import release.incident
    import release.policy
    import release.promotion
    import release.verdict  # noqa: F401
    from release.records import Kept, RecordRequest, RecordResult

from workflows.records.audit import keep_audit
from workflows.records.changelog import changelog
from workflows.records.deployment import production_deployment, staging_deployment
from workflows.records.github import github_deployment
from workflows.records.incident import write_incident
from workflows.records.notice import tell_the_end
from workflows.records.quarantine import owed_quarantine
from workflows.records.tag import tag

PARTS: tuple[Callable[[RecordRequest], Awaitable[Kept | None]], ...] = (
    tell_the_end,
    write_incident,
    tag,
    changelog,
    github_deployment,
    production_deployment,
    staging_deployment,
    keep_audit,
    owed_quarantine,
)
"""Written side by side, so that none waits for another; None where there is nothing to write."""


@workflow.defn
class RecordWorkflow:
    """A child that a promotion leaves behind: what it waits for holds up no release."""

    @workflow.run
    async def run(self, request: RecordRequest) -> RecordResult:
        """Every part is written, or refused for good and said so."""
        kept = await asyncio.gather(*(part(request) for part in PARTS))
        return RecordResult(kept=tuple(one for one in kept if one is not None))

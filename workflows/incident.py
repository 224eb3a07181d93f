"""The incident of a rollback by hand: written down and told, while nobody waits for it."""

import asyncio

from temporalio import workflow
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from release.channels import Event
    from release.incident import Facts, Incident
    from release.policy import Policy
    from release.promotion import AliasState
    from release.records import Kept
    from release.rollback import RollbackRequest

from release.text import code, name
from workflows.notices import About, send_patiently
from workflows.records.incident import report
from workflows.records.notice import PACKET_FOLLOWS


@workflow.defn
class IncidentWorkflow:
    """Left behind by a rollback of a release that had been completed."""

    @workflow.run
    async def run(self, incident: Incident) -> Kept:
        """The channels know, and the packet is stored; or why it never can be."""
        facts = incident.facts
        about = About(facts.sha, facts.version, facts.promotion, facts.address)
        title = f"{facts.service} {facts.version} was {facts.outcome}"
        text = f"By {name(facts.requested_by)}. Why: {code(facts.reason, 500)}\n\n{PACKET_FOLLOWS}"
        _, kept = await asyncio.gather(
            send_patiently(incident.policy, about, Event.ROLLED_BACK, title, text),
            report(incident.policy, about, facts),
        )
        return kept


async def leave_incident(request: RollbackRequest, aliases: tuple[AliasState, ...]) -> None:
    """The incident is being written down, if a release went out of service by it."""
    if request.policy is None or not request.undone:
        return
    facts = _facts(request, request.policy, aliases)
    await workflow.start_child_workflow(
        IncidentWorkflow.run,
        Incident(policy=request.policy, facts=facts),
        id=f"incident/{request.service}/{facts.sha[:12]}/{facts.run}",
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"the incident of {request.service} {facts.version}",
    )


def _facts(request: RollbackRequest, policy: Policy, aliases: tuple[AliasState, ...]) -> Facts:
    info, undone, api = workflow.info(), request.undone[0], request.targets[0]
    wanted = {target.function: target.version for target in request.targets}
    return Facts(
        service=request.service,
        sha=undone.sha,
        version=undone.version,
        promotion=info.workflow_id,
        run=info.run_id[-8:],
        outcome=request.outcome,
        reason=undone.reason,
        requested_by=request.requested_by,
        went_back_at=info.start_time,
        ended_at=workflow.now(),
        api=api.function,
        alias=api.alias,
        expected=wanted | {alias.function: alias.version for alias in aliases},
        bad={api.function: undone.number} if undone.number else {},
        infrastructure=_infrastructure(policy),
        quarantines=True,
        bucket=policy.artifact_bucket,
        table=undone.table,
    )


def _infrastructure(policy: Policy) -> str:
    if policy.infrastructure is None:
        return ""
    return f"the stack {policy.stack_name('prod')} is as the last release's template says"

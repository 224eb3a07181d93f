"""When users met a version that went back: the incident packet, and whoever has to know of it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.github_issues import GitHubIssues
    from activities.incident import Incidents
    from activities.release_inputs import IssueInput
    from release.channels import Event
    from release.incident import Facts, Stored
    from release.policy import Policy
    from release.promotion import Outcome
    from release.records import Kept, RecordRequest

from release.policy import alarm_period_seconds
from workflows import options
from workflows.failures import root_cause
from workflows.notices import About, send_patiently
from workflows.records.keep import keep
from workflows.records.notice import about

_KEPT = "incident packet"


async def write_incident(request: RecordRequest) -> Kept | None:
    """The packet is stored and the channels have its first screen; None where nobody was hurt."""
    if not request.went_back:
        return None
    return await report(request.promotion.policy, about(request), _facts(request))


async def report(policy: Policy, release: About, facts: Facts) -> Kept:
    """The incident is written down, told, and an issue on GitHub where there is a repository."""
    try:
        stored = await workflow.execute_activity_method(
            Incidents.write_incident,
            facts,
            summary=f"incident packet {facts.key}",
            **options.RECORD,
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        return Kept(what=_KEPT, done=False, text=f"not written: {root_cause(failure)}")
    text = _told(facts, stored)
    told = send_patiently(policy, release, Event.INCIDENT, stored.title, text)
    _, kept = await asyncio.gather(told, _kept(policy, facts, stored, text))
    return kept


async def _kept(policy: Policy, facts: Facts, stored: Stored, text: str) -> Kept:
    rest = f"the channels have its head, `starter.py status {facts.sha[:12]}` the rungs"
    place = f"{stored.problem}; {rest}" if stored.problem else stored.address
    if not policy.ci.repository:
        return Kept(what=_KEPT, done=not stored.problem, text=place)
    issue = await keep("GitHub issue", GitHubIssues.open_issue, _issue(policy, facts, stored, text))
    done = not stored.problem and issue.done
    return Kept(what=f"{_KEPT}, with an issue", done=done, text=f"{place}; issue: {issue.text}")


def _issue(policy: Policy, facts: Facts, stored: Stored, text: str) -> IssueInput:
    marker = f"incident {facts.promotion} {facts.run}"
    return IssueInput(repository=policy.ci.repository, title=stored.title, body=text, marker=marker)


def _told(facts: Facts, stored: Stored) -> str:
    where = (
        f"**The packet was not stored:** {stored.problem}."
        if stored.problem
        else f"The whole packet: `starter.py incident {facts.sha[:12]}`, {stored.address}"
    )
    return f"{stored.head}\n\n{where}"


def _facts(request: RecordRequest) -> Facts:
    status, promotion = request.status, request.promotion
    policy = promotion.policy
    names = policy.function_names("prod")
    return Facts(
        service=policy.service,
        sha=status.sha,
        version=status.version,
        promotion=status.workflow_id,
        run=request.run,
        address=request.address,
        outcome=status.outcome.value if status.outcome else "ended",
        reason=status.reason,
        requested_by=status.requested_by,
        changes=promotion.changes,
        authors=promotion.authors,
        staged_at=status.staged_at,
        # the last stage that it entered was the rollback: an end changes no time
        went_back_at=status.stage_since,
        ended_at=workflow.now(),
        steps=status.steps,
        messages=status.inbox,
        api=names[policy.api],
        alias=policy.alias,
        expected={names[function]: version for function, version in status.baseline.items()},
        bad={names[function]: version for function, version in status.published.items()},
        infrastructure=status.infrastructure.staying() if status.infrastructure else "",
        # an abort, or a failure of the machinery, says nothing of the commit
        quarantines=status.outcome is Outcome.ROLLED_BACK,
        bucket=policy.artifact_bucket,
        table=policy.table_name("prod"),
        period_seconds=alarm_period_seconds(promotion.clock_factor),
    )

"""How the deployment record follows what happened, whoever tells of it first.

Each writer tells what it knows: a version began to serve, or went out of service, at a time. What
is active follows from the times alone, so that a writer that comes late changes nothing newer.
"""

from collections.abc import Iterable
from datetime import datetime

from release.deployment import (
    PRODUCTION,
    STAGING,
    Change,
    Deployment,
    DeploymentStatus,
    Pointer,
    Rung,
)
from release.promotion import StepRecord
from release.records import RecordRequest


def in_production(request: RecordRequest) -> Deployment | None:
    """What production's record learns of a promotion; None if it moved no traffic."""
    status = request.status
    if not status.steps:
        return None
    if request.is_live:
        began = _whole_since(status.steps)
        change = Change(at=began, status=DeploymentStatus.ACTIVE)
    else:
        began = status.steps[0].started_at
        change = Change(
            at=status.stage_since, status=DeploymentStatus.ROLLED_BACK, reason=status.reason
        )
    facts = {
        "outcome": status.outcome.value if status.outcome else "",
        "alias_versions": status.published,
        "approvers": tuple(dict.fromkeys(vote.approver for vote in status.votes)),
        "ramp": tuple(_rung(step) for step in status.steps),
    }
    return _of(request, PRODUCTION, began, change).model_copy(update=facts)


def in_staging(request: RecordRequest) -> Deployment | None:
    """What staging's record learns of a promotion; None if it did not get there."""
    began = request.status.staged_at
    if began is None:
        return None
    return _of(request, STAGING, began, Change(at=began, status=DeploymentStatus.ACTIVE))


def known_by_name(version: str, commit: str, change: Change) -> Deployment:
    """Production's version of a release of which no more is known."""
    return Deployment(
        environment=PRODUCTION,
        version=version,
        git_commit=commit,
        status=change.status,
        reason=change.reason,
        changes=(change,),
    )


def updated(
    pointer: Pointer, known: dict[str, Deployment], told: Iterable[Deployment]
) -> tuple[Pointer, dict[str, Deployment]]:
    """The pointer and the versions as they are to be, of one environment.

    `known` holds, of those that are told of and of the active one, what the record has. Told a
    second time the same, nothing is different.
    """
    after = dict(known)
    for new in told:
        after[new.version] = _merged(after.get(new.version), new)
        for change in new.changes:
            if change.status is DeploymentStatus.ACTIVE and change.at > pointer.since:
                pointer = pointer.model_copy(update={"version": new.version, "since": change.at})
    return pointer, {version: _settled(one, pointer) for version, one in after.items()}


def _merged(known: Deployment | None, new: Deployment) -> Deployment:
    """The later promotion's facts, and every change of both."""
    if known is None:
        return new
    facts = new if _knows_more(new, known) else known
    both = {(change.at, change.status): change for change in (*new.changes, *known.changes)}
    return facts.model_copy(update={"changes": tuple(both.values())})


def _knows_more(new: Deployment, known: Deployment) -> bool:
    if not new.promotion or new.deployed_at is None:
        return False
    return known.deployed_at is None or known.deployed_at <= new.deployed_at


def _settled(one: Deployment, pointer: Pointer) -> Deployment:
    """With the status that follows from its changes: active is only what the pointer names."""
    changes = tuple(sorted(one.changes, key=lambda change: change.at))
    status, reason = changes[-1].status, changes[-1].reason
    if one.version == pointer.version:
        status, reason = DeploymentStatus.ACTIVE, ""
    elif status is DeploymentStatus.ACTIVE:
        # not among the changes: which version came next is known only once all have told
        status, reason = DeploymentStatus.SUPERSEDED, f"by {pointer.version}"
    return one.model_copy(update={"changes": changes, "status": status, "reason": reason})


def _whole_since(steps: tuple[StepRecord, ...]) -> datetime:
    """When the last unbroken time at all of the traffic began."""
    began = steps[-1].started_at
    for step in reversed(steps):
        if step.weight < 1:
            break
        began = step.started_at
    return began


def _rung(step: StepRecord) -> Rung:
    verdict = step.judgement.verdict.value if step.judgement else ""
    return Rung(weight=step.weight, at=step.started_at, verdict=verdict)


def _of(request: RecordRequest, environment: str, began: datetime, change: Change) -> Deployment:
    status = request.status
    return Deployment(
        environment=environment,
        version=status.version,
        git_commit=status.sha,
        deployed_at=began.replace(microsecond=0),
        deployed_by=status.requested_by,
        status=change.status,
        reason=change.reason,
        promotion=status.workflow_id,
        promotion_run=request.run_id,
        artifacts=status.artifacts,
        changes=(change,),
    )

"""What the production deployment request says, taken from the promotion's state."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.checklist import DONE, Answer
    from release.deployment_request import (
        NeededRole,
        RequestFacts,
        StackDiff,
        Validation,
        WaivedItem,
    )
    from release.policy import alarm_period_seconds

from release.decisions import counts
from release.infrastructure import ITEM, diff_lines
from workflows.state import PromotionState, address

PERFORMANCE = "Performance Testing"
"""The flow's heading whose items make "Performance acceptable"."""


def request_facts(state: PromotionState, digest: str, until: datetime) -> RequestFacts:
    """The facts as they stand when approval is asked for."""
    request, policy = state.request, state.policy
    # The alarms look at two whole periods, which end within a third; the judgement of a rung counts
    # whole periods too, and one with enough failures decides.
    period = timedelta(seconds=alarm_period_seconds(request.clock_factor))
    return RequestFacts(
        at=workflow.now(),
        requester=request.requested_by,
        service=policy.service,
        sha=request.sha,
        version=request.version,
        running_version=request.running_version,
        major=request.is_major,
        changes=request.changes,
        validation=_validation(state),
        infrastructure=_infrastructure(state),
        shift=policy.shift,
        alarms_act_in=3 * period,
        judgement_acts_in=2 * period,
        rollback_version=state.rollback_target[policy.api],
        last_drill=state.last_drill,
        hotfix=request.hotfix,
        windows=policy.windows,
        roles=tuple(
            NeededRole(
                role=role.role,
                needed=role.needed,
                people=tuple(name for name in role.people if counts(request, name)),
            )
            for role in state.quorum()
        ),
        until=until,
        digest=digest,
        proof_needed=state.status.proof_needed,
        temporal_url=address(state),
        github_url=f"https://github.com/{policy.ci.repository}" if policy.ci.repository else "",
    )


def _validation(state: PromotionState) -> Validation:
    items = state.gating_items()
    by_answer = {answer: [item for item in items if item.answer is answer] for answer in Answer}
    waivers = state.answers.waivers
    performance = [item for item in items if item.group == PERFORMANCE]
    return Validation(
        passed=len(by_answer[Answer.PASSED]),
        not_applicable=len(by_answer[Answer.NOT_APPLICABLE]),
        waived=tuple(
            WaivedItem(item=item.text, by=waivers[item.id].by, reason=waivers[item.id].reason)
            for item in by_answer[Answer.WAIVED]
        ),
        failed=tuple(item.text for item in by_answer[Answer.FAILED]),
        unanswered=tuple(item.text for item in items if item.answer not in DONE),
        performance_passed=all(item.answer is Answer.PASSED for item in performance),
    )


def _infrastructure(state: PromotionState) -> StackDiff | None:
    known = state.status.infrastructure
    if known is None or known.prod is None:
        return None
    return StackDiff(
        stack=known.prod.stack,
        changes=tuple(diff_lines(known.prod)),
        waived=tuple(WaivedItem(item=ITEM, by=w.by, reason=w.reason) for w in known.waivers),
    )

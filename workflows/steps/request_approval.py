"""Ask for production: the request with its evidence, to every channel and into the UI."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import SupersedeInput
    from activities.supersede import Supersede
    from release.channels import Event
    from release.checklist import Answers

from temporalio.exceptions import FailureError

from release.deployment_request import compose
from workflows import options
from workflows.request_facts import request_facts
from workflows.state import Busy, PromotionState
from workflows.steps.announce import tell
from workflows.steps.before_traffic import preflight
from workflows.steps.last_drill import look_at_last_drill
from workflows.steps.publish import read_aliases
from workflows.steps.take_lane import look_alone


async def request_approval(state: PromotionState) -> None:
    """The approvers are asked, for exactly this evidence; older releases that wait give way.

    What a rollback would put back is known only of a production that stands still: while somebody
    else moves it, that is waited for in the lane.
    """
    answers = state.answers  # one that changes in line is looked at once more
    try:
        await preflight(state)
        await _ask(state, answers, patient=False)
    except Busy:
        await look_alone(state)
        await preflight(state, patient=True)
        await _ask(state, answers, patient=True)
        await state.lane.leave()


async def _ask(state: PromotionState, answers: Answers, *, patient: bool) -> None:
    aliases, _ = await asyncio.gather(
        read_aliases(state, "prod", patient=patient), look_at_last_drill(state)
    )
    state.rollback_target = {name: alias.version for name, alias in aliases.items()}
    state.asked_for = answers
    digest = state.evidence().digest()
    deadline = workflow.now() + state.policy.approval.timeout
    text = compose(request_facts(state, digest, deadline))
    state.refresh(digest=digest, request=text)
    state.aside(_supersede_older(state))
    title = f"Approve {state.policy.service} {state.request.version} for production?"
    tell(state, Event.APPROVAL_REQUESTED, title, text)


def void_approvals(state: PromotionState, why: str) -> None:
    """Nobody has approved what is to be asked next."""
    void = ", ".join(state.votes) or "nobody"
    state.votes.clear()
    state.note("void", "the promotion", None, f"{why}; the approvals of {void} are void")
    state.show(digest="", request="")


async def _supersede_older(state: PromotionState) -> None:
    """Best effort: a release that cannot tell the others goes on all the same."""
    request = state.request
    try:
        told = await workflow.execute_activity_method(
            Supersede.supersede_older,
            SupersedeInput(
                service=state.policy.service,
                promotion=request.workflow_id,
                sha=request.sha,
                version=request.version,
            ),
            summary="older promotions that wait are superseded",
            **options.NOTICE,
        )
    except FailureError as failure:
        state.note("supersede", "the promotion", f"{failure.cause or failure}", "")
        return
    if told:
        state.note("supersede", "the promotion", None, ", ".join(told))

"""Prove whose word an approval is: by a one-time code, or by GitHub's own record of a review."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.github import GitHub
    from activities.inputs import CodeInput, ReviewInput
    from activities.one_time_code import OneTimeCodes
    from release.github import refuse_review
    from release.message import Message
    from release.proof import CodeVerdict
    from release.votes import Proof

from temporalio.exceptions import FailureError

from release.decisions import Decision
from workflows import options
from workflows.state import PromotionState


class Proved(Message):
    """A person whose yes it is."""

    name: str
    proof: Proof
    comment: str = ""
    link: str = ""


async def prove(state: PromotionState, decision: Decision, number: int) -> list[Proved] | str:
    """Whose yes the decision is; or why that is not proved, in words for its sender.

    `number` counts the promotion's proofs: a retry of the same one is not a second use of a code.
    """
    try:
        if decision.github_run is not None:
            return await _by_github(state, decision.github_run)
        return await _by_code(state, decision, number)
    except FailureError as failure:
        return f"the proof could not be checked, send it again: {failure.cause or failure}"


async def _by_code(state: PromotionState, decision: Decision, number: int) -> list[Proved] | str:
    policy = state.policy
    result = await workflow.execute_activity_method(
        OneTimeCodes.check_code,
        CodeInput(
            service=policy.service,
            environment="prod",
            table=policy.table_name("prod"),
            approver=decision.approver,
            code=decision.code,
            at=workflow.now(),
            attempt=f"{state.request.workflow_id}/{workflow.info().run_id}/{number}",
        ),
        summary=f"check the one-time code of {decision.approver}",
        **options.PROOF,
    )
    if result.verdict is not CodeVerdict.ACCEPTED:
        return result.text
    return [Proved(name=decision.approver, proof=Proof.CODE)]


async def _by_github(state: PromotionState, run_id: int) -> list[Proved] | str:
    policy = state.policy
    if not policy.ci.repository:
        return "no GitHub repository is configured in [ci]; use a one-time code"
    review = await workflow.execute_activity_method(
        GitHub.read_environment_review,
        ReviewInput(
            repository=policy.ci.repository,
            run_id=run_id,
            environment=policy.approval.github_environment,
            sha=state.request.sha,
            workflow=policy.approval.github_workflow,
        ),
        summary=f"read GitHub's review of run {run_id}",
        **options.PROOF,
    )
    refusal = refuse_review(review)
    if refusal is not None:
        return refusal
    # A run's number is no secret: counted again it would undo a withdrawal, or approve evidence
    # that its reviewers never saw.
    attempt = f"{run_id}/{review.run.attempt}"
    if attempt in state.counted_reviews:
        return f"the review of run {run_id} was counted already; review again in another run"
    said = {entry.reviewer: entry.comment for entry in review.reviews}
    known = policy.approval.github
    proved = [
        Proved(
            name=known[login], proof=Proof.GITHUB, comment=said.get(login, ""), link=review.run.url
        )
        for login in review.approvers
        if login in known
    ]
    if not proved:
        return f"{', '.join(review.approvers)}: nobody that [approval.github] maps to a role"
    state.counted_reviews.append(attempt)
    return proved

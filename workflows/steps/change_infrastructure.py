"""The commit's template: staging's stack first, then production's, before any traffic moves."""

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.infrastructure import NO_PLAN, NOT_EXECUTED, Infrastructure
    from activities.inputs import ChangeSetInput, PlanInput
    from release.change_set import InfrastructurePlan, InfrastructureStatus
    from release.channels import Event
    from release.promotion import Outcome, Stage

from release.infrastructure import ITEM, forbidden, uncovered
from release.text import code
from workflows import options
from workflows.failures import failed_as
from workflows.state import Ended, PromotionState
from workflows.steps.announce import tell


async def change_staging(state: PromotionState) -> None:
    """Staging's stack is as the commit's template says.

    Raises:
        Ended: needs fix: the change is refused, or CloudFormation cannot make it.
    """
    if state.policy.infrastructure is None:
        return
    state.enter(Stage.STAGING, "change staging's stack as the template says, then deploy to it")
    plan = await _plan(state, "staging")
    await _admit(state, plan)
    try:
        await _execute(state, plan)
    except ActivityError as error:
        if not failed_as(error, NOT_EXECUTED):
            raise
        raise Ended(Outcome.NEEDS_FIX, f"infrastructure: {_said(error)}") from error


async def plan_production(state: PromotionState) -> None:
    """What production's stack would become is known, and nothing of it is refused.

    Raises:
        Ended: needs fix: it is refused, or CloudFormation cannot make it.
    """
    if state.policy.infrastructure is not None:
        await _admit(state, await _plan(state, "prod"))


async def production_changed(state: PromotionState) -> bool:
    """Whether production's stack would become something else than what approvers were shown."""
    known = _status(state)
    if known is None:
        return False
    shown = known.prod
    return await _plan(state, "prod") != shown


async def change_production(state: PromotionState) -> None:
    """Production's stack is as the commit's template says; its traffic is where it was.

    Raises:
        ActivityError: it is not, and has rolled itself back.
    """
    known = _status(state)
    if known is not None and known.prod is not None:
        await _execute(state, known.prod)


async def discard_plans(state: PromotionState) -> None:
    """No change set is left that nobody will execute; if one is all the same, it does no harm."""
    known = _status(state)
    plans = (known.staging, known.prod) if known else ()
    for plan in plans:
        if known is None or plan is None or not plan.changes or plan.stack in known.begun:
            continue
        try:
            await workflow.execute_activity_method(
                Infrastructure.discard_infrastructure,
                ChangeSetInput(stack=plan.stack, change_set=plan.change_set),
                summary=f"{plan.stack}: the change set is not needed any more",
                **options.NOTICE,
            )
        except ActivityError:
            workflow.logger.exception("the change set of %s could not be deleted", plan.stack)


async def _plan(state: PromotionState, environment: str) -> InfrastructurePlan:
    policy = state.policy
    assert policy.infrastructure is not None  # noqa: S101  asked by every caller
    stack = policy.stack_name(environment)
    try:
        plan = await workflow.execute_activity_method(
            Infrastructure.plan_infrastructure,
            PlanInput(
                sha=state.request.sha,
                template=policy.infrastructure.template,
                stack=stack,
                change_set=_change_set_name(state),
            ),
            summary=f"what does the template change of {stack}?",
            **options.PLAN_INFRASTRUCTURE,
        )
    except ActivityError as error:
        if not failed_as(error, NO_PLAN):
            raise
        raise Ended(Outcome.NEEDS_FIX, f"infrastructure: {_said(error)}") from error
    _show(state, **{environment: plan})
    state.stop_if_aborted()
    return plan


async def _admit(state: PromotionState, plan: InfrastructurePlan) -> None:
    """Nothing of the plan is refused; what may be waived was, by a person."""
    refused = forbidden(plan)
    if refused:
        raise Ended(Outcome.NEEDS_FIX, _refusal(plan, refused))
    open_ = uncovered(plan, _waivers(state))
    if not open_:
        return
    assert state.policy.infrastructure is not None  # noqa: S101  there is a plan
    longest = state.policy.infrastructure.waive_within
    until = workflow.now() + longest
    _show(state, objections=open_)
    tell(
        state,
        Event.REMINDER,
        f"{state.policy.service} {state.request.version} waits for a waiver, or ends",
        _question(state, plan, open_, until),
    )
    state.show(next=f"a waiver of `infrastructure`, or its end: {open_[0]}", deadline=until)
    try:
        await state.wait(
            lambda: not uncovered(plan, _waivers(state)), longest, "a refused change may be waived"
        )
    except TimeoutError:
        raise Ended(Outcome.NEEDS_FIX, _refusal(plan, open_)) from None
    _show(state, objections=())
    state.show(deadline=None)


async def _execute(state: PromotionState, plan: InfrastructurePlan) -> None:
    known = _status(state)
    if known is None or not plan.changes:
        return
    _show(state, begun=(*known.begun, plan.stack))
    state.show(next=f"{plan.stack}: {len(plan.changes)} resources change, then the deploy")
    await workflow.execute_activity_method(
        Infrastructure.execute_infrastructure,
        ChangeSetInput(stack=plan.stack, change_set=plan.change_set),
        summary=f"{plan.stack}: change {len(plan.changes)} resources",
        **options.EXECUTE_INFRASTRUCTURE,
    )
    _show(state, executed=(*known.executed, plan.stack))
    state.stop_if_aborted()


def _change_set_name(state: PromotionState) -> str:
    """One per run of the promotion: what an earlier run executed is not taken for its own."""
    return f"promotion-{state.request.sha[:12]}-{workflow.info().run_id[-8:]}"


def _status(state: PromotionState) -> InfrastructureStatus | None:
    return state.status.infrastructure


def _waivers(state: PromotionState) -> Any:
    known = _status(state)
    return known.waivers if known else ()


def _show(state: PromotionState, **facts: Any) -> None:
    known = _status(state) or InfrastructureStatus()
    state.show(infrastructure=known.model_copy(update=facts))


def _refusal(plan: InfrastructurePlan, why: tuple[str, ...]) -> str:
    return f"infrastructure of {plan.stack} refused: {'; '.join(why)}"


def _question(
    state: PromotionState, plan: InfrastructurePlan, why: tuple[str, ...], until: datetime
) -> str:
    who = ", ".join(role.replace("_", " ") for role in state.policy.checklist.waivers) or "nobody"
    command = f"starter.py waive {state.request.sha[:7]} {ITEM} --as NAME --reason …"
    return "\n".join(
        [
            f"Its template would change {code(plan.stack)}:",
            *(f"- {code(text, 200)}" for text in why),
            "",
            f"It may be waived by {who}: {code(command)}. Otherwise the release ends at "
            f"{until:%H:%M} UTC, and nothing of it is done.",
        ]
    )


def _said(error: ActivityError) -> str:
    return str(getattr(error.cause, "message", error.cause))

"""What the team hears unasked: the upcoming deployment, its beginning, an open question."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.channels import Delivery, Event
    from release.verdict import CheckResult, Verdict

from release.text import code, name
from workflows.notices import About, send
from workflows.state import PromotionState, address

ANNOUNCEMENT = "announcement"
"""The named check that is answered by telling the team."""


async def notify(state: PromotionState, event: Event, title: str, text: str) -> list[Delivery]:
    """What became of the notice, channel by channel; a channel being down holds nothing up."""
    return await send(state.policy, _about(state), event, title, text)


def tell(state: PromotionState, event: Event, title: str, text: str) -> None:
    """The notice is on its way, and nothing waits for it."""
    state.aside(notify(state, event, title, text))


def _about(state: PromotionState) -> About:
    return About(
        state.request.sha, state.request.version, state.request.workflow_id, address(state)
    )


def tell_started(state: PromotionState) -> None:
    """Whoever follows releases hears that one has begun."""
    title = f"{state.policy.service} {state.request.version} has started"
    text = "It is built and deployed to staging; then its tests and checklists come."
    tell(state, Event.STARTED, title, f"{_requested(state)} {text}")


def tell_shifting(state: PromotionState, baseline: str, canary: str) -> None:
    """Whoever follows production hears that users begin to meet the new version."""
    title = f"{state.policy.service} {state.request.version} begins to take production's traffic"
    text = (
        f"Users move from version {baseline} to version {canary} step by step, each judged; at "
        f"harm all go back. To stop it: `starter.py abort {state.request.sha[:12]}`"
    )
    tell(state, Event.SHIFTING, title, text)


def _requested(state: PromotionState) -> str:
    return f"Requested by {name(state.request.requested_by)}; commit `{state.request.sha[:12]}`."


async def announce(state: PromotionState) -> list[CheckResult]:
    """The team was told what is coming, and how it would be taken back."""
    request = state.request
    title = f"{request.policy.service} {request.version} is on its way to production"
    text = "\n".join(
        [
            _requested(state),
            *(f"- {code(change)}" for change in request.changes),
            "",
            "It waits for its checklist, then for approval. Traffic moves step by step; at the "
            "first sign of harm all of it goes back to the version that runs now.",
        ]
    )
    # tried again where no answer came: a channel that has it already knows it by its time
    state.announced_at = state.announced_at or workflow.now()
    deliveries = await send(
        state.policy, _about(state), Event.ANNOUNCED, title, text, first_sent=state.announced_at
    )
    good = [delivery.channel for delivery in deliveries if delivery.delivered]
    bad = [f"{one.channel}: {one.reason}" for one in deliveries if not one.delivered]
    if not deliveries:
        verdict, evidence = Verdict.NOT_APPLICABLE, "no channel of [[notify]] is to hear it"
    elif good:
        verdict, evidence = Verdict.PASSED, "; ".join([f"told {', '.join(good)}", *bad])
    else:
        verdict, evidence = Verdict.INCONCLUSIVE, "; ".join(bad)
    text = "The team was told of the upcoming deployment and of its rollback plan"
    return [CheckResult(id=ANNOUNCEMENT, text=text, verdict=verdict, evidence=evidence)]


def remind(state: PromotionState, deadline: datetime) -> None:
    """Whoever has not answered hears that the question still stands, and until when."""
    open_ = ", ".join(role.role.replace("_", " ") for role in state.quorum() if not role.is_filled)
    title = f"{state.policy.service} {state.request.version} still waits for approval by {open_}"
    text = f"{state.status.request}\n\nUndecided, it expires at {deadline:%Y-%m-%d %H:%M} UTC."
    tell(state, Event.REMINDER, title, text)

"""What the team hears unasked: the upcoming deployment, and reminders of an open question."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import NoticeInput
    from release.channels import Delivery
    from release.verdict import CheckResult, Verdict

from release.text import code, name
from workflows.notices import tell
from workflows.state import PromotionState, address

ANNOUNCEMENT = "announcement"
"""The named check that is answered by telling the team."""


async def notify(state: PromotionState, event: str, title: str, text: str) -> list[Delivery]:
    """What became of the notice, channel by channel; a channel being down holds nothing up."""
    return await tell(
        NoticeInput(
            channels=state.policy.notify,
            event=event,
            service=state.policy.service,
            sha=state.request.sha,
            version=state.request.version,
            promotion=state.request.workflow_id,
            title=title,
            markdown=text,
            url=address(state),
            at=workflow.now(),
        )
    )


async def announce(state: PromotionState) -> list[CheckResult]:
    """The team was told what is coming, and how it would be taken back."""
    request = state.request
    title = f"{request.policy.service} {request.version} is on its way to production"
    text = "\n".join(
        [
            f"Requested by {name(request.requested_by)}; commit `{request.sha[:12]}`.",
            *(f"- {code(change)}" for change in request.changes),
            "",
            "It waits for its checklist, then for approval. Traffic moves step by step; at the "
            "first sign of harm all of it goes back to the version that runs now.",
        ]
    )
    deliveries = await notify(state, "announced", title, text)
    good = [delivery.channel for delivery in deliveries if delivery.delivered]
    bad = [f"{one.channel}: {one.reason}" for one in deliveries if not one.delivered]
    if not deliveries:
        verdict, evidence = Verdict.NOT_APPLICABLE, "no channel is configured in [[notify]]"
    elif good:
        verdict, evidence = Verdict.PASSED, "; ".join([f"told {', '.join(good)}", *bad])
    else:
        verdict, evidence = Verdict.INCONCLUSIVE, "; ".join(bad)
    text = "The team was told of the upcoming deployment and of its rollback plan"
    return [CheckResult(id=ANNOUNCEMENT, text=text, verdict=verdict, evidence=evidence)]


async def remind(state: PromotionState, deadline: datetime) -> None:
    """Whoever has not answered hears that the question still stands, and until when."""
    open_ = ", ".join(role.role.replace("_", " ") for role in state.quorum() if not role.is_filled)
    title = f"{state.policy.service} {state.request.version} still waits for approval by {open_}"
    text = f"{state.status.request}\n\nUndecided, it expires at {deadline:%Y-%m-%d %H:%M} UTC."
    await notify(state, "reminder", title, text)

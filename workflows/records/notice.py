"""How the promotion ended, told to every channel that wants to hear it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.channels import Event
    from release.promotion import Outcome
    from release.records import Kept, RecordRequest

from release.text import code
from workflows.notices import About, send_patiently

PACKET_FOLLOWS = (
    "The incident packet, which follows, says what production serves now and what to do."
)


async def tell_the_end(request: RecordRequest) -> Kept | None:
    """The channels were told, or which of them could not be; None where nobody wants to hear it."""
    event, title, text = _notice(request)
    found = await send_patiently(request.promotion.policy, about(request), event, title, text)
    if not found:
        return None
    missed = [f"{one.channel}: {one.reason}" for one in found if not one.delivered]
    told = ", ".join(one.channel for one in found if one.delivered)
    return Kept(
        what=f"notice {event.value}",
        done=not missed,
        text="; ".join([*([f"told {told}"] if told else []), *missed]),
    )


def about(request: RecordRequest) -> About:
    """The release that the record is of."""
    status = request.status
    return About(status.sha, status.version, status.workflow_id, request.address)


def _notice(request: RecordRequest) -> tuple[Event, str, str]:
    status = request.status
    release, short = f"{status.service} {status.version}", status.sha[:12]
    why = f"Why: {code(status.reason, 500)}"
    if request.is_live:
        text = f"It serves all traffic, from commit `{short}`. To take it back: "
        return Event.DONE, f"{release} is live", f"{text}`starter.py rollback --reason …`"
    if request.went_back:
        ended = "" if status.outcome is Outcome.ROLLED_BACK else f" ({_outcome(request)})"
        version = status.baseline_version
        text = f"{why}\n\nIts way back to version {version} is through. {PACKET_FOLLOWS}"
        return Event.ROLLED_BACK, f"{release} went back{ended}", text
    text = f"{why}\n\nNo user has met it: production's traffic was not moved."
    return Event.ENDED, f"{release} ended: {_outcome(request)}", text


def _outcome(request: RecordRequest) -> str:
    outcome = request.status.outcome
    return outcome.value if outcome else "without an outcome"

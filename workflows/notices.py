"""One thing told to the channels that want to hear it, from whichever workflow."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.inputs import NoticeInput
    from activities.notify import Notify
    from release.channels import Delivery, DeliveryOutcome, Event
    from release.policy import Policy

from workflows import options

_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))


@dataclass(frozen=True)
class About:
    """The release that a notice is about."""

    sha: str
    version: str
    promotion: str
    address: str = ""


async def send(
    policy: Policy,
    about: About,
    event: Event,
    title: str,
    text: str,
    *,
    first_sent: datetime | None = None,
) -> list[Delivery]:
    """What became of the notice, channel by channel; never raises for one that is down.

    It may take two minutes: whoever must not wait sends aside. Sent again, with the time of the
    first try, it is the same notice.
    """
    order = _order(policy, about, event, title, text)
    if first_sent is not None:
        order = order.model_copy(update={"at": first_sent})
    return await _send(order) if order.channels else []


async def send_patiently(
    policy: Policy, about: About, event: Event, title: str, text: str
) -> list[Delivery]:
    """As `send`, and whom it did not reach is tried again for over an hour.

    For what stays true: a status page that missed the end would show a shift for ever.
    """
    order = _order(policy, about, event, title, text)
    found: dict[str, Delivery] = {}
    for pause in (*_PAUSES, None):
        if order.channels:
            found |= {one.channel: one for one in await _send(order)}
        unreached = {n for n, one in found.items() if one.outcome is DeliveryOutcome.UNREACHABLE}
        if not unreached or pause is None:
            break
        left = tuple(channel for channel in order.channels if channel.name in unreached)
        order = order.model_copy(update={"channels": left})
        await workflow.sleep(pause, summary=f"then tell {', '.join(sorted(unreached))} again")
    return list(found.values())


def _order(policy: Policy, about: About, event: Event, title: str, text: str) -> NoticeInput:
    """Its time is a part of its idempotency key: the same however often it is sent."""
    return NoticeInput(
        channels=tuple(channel for channel in policy.notify if event in channel.events),
        event=event.value,
        service=policy.service,
        sha=about.sha,
        version=about.version,
        promotion=about.promotion,
        title=title,
        markdown=text,
        url=about.address,
        at=workflow.now(),
    )


async def _send(order: NoticeInput) -> list[Delivery]:
    names = [channel.name for channel in order.channels]
    try:
        return await workflow.execute_activity_method(
            Notify.notify,
            order,
            summary=f"tell {', '.join(names)}: {order.title}",
            **options.NOTICE,
        )
    except FailureError as failure:
        why = str(failure.cause or failure)
        unreached = DeliveryOutcome.UNREACHABLE
        return [Delivery(channel=name, outcome=unreached, reason=why) for name in names]

"""One thing told to the channels that want to hear it, from whichever workflow."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.inputs import NoticeInput
    from activities.notify import Notify
    from release.channels import Delivery, DeliveryOutcome, Event
    from release.policy import Policy

from workflows import options


@dataclass(frozen=True)
class About:
    """The release that a notice is about."""

    sha: str
    version: str
    promotion: str
    address: str = ""


async def send(policy: Policy, about: About, event: Event, title: str, text: str) -> list[Delivery]:
    """What became of the notice, channel by channel; never raises for one that is down.

    It may take two minutes: whoever must not wait sends aside.
    """
    channels = tuple(channel for channel in policy.notify if event in channel.events)
    if not channels:
        return []
    try:
        return await workflow.execute_activity_method(
            Notify.notify,
            NoticeInput(
                channels=channels,
                event=event.value,
                service=policy.service,
                sha=about.sha,
                version=about.version,
                promotion=about.promotion,
                title=title,
                markdown=text,
                url=about.address,
                at=workflow.now(),
            ),
            summary=f"tell {', '.join(channel.name for channel in channels)}: {title}",
            **options.NOTICE,
        )
    except FailureError as failure:
        return [
            Delivery(
                channel=channel.name,
                outcome=DeliveryOutcome.UNREACHABLE,
                reason=str(failure.cause or failure),
            )
            for channel in channels
        ]

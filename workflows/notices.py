"""Tell the channels, from whichever workflow: one that is down holds nothing up."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import NoticeInput
    from activities.notify import Notify
    from release.channels import Delivery, DeliveryOutcome

from temporalio.exceptions import FailureError

from workflows import options


async def tell(notice: NoticeInput) -> list[Delivery]:
    """What became of the notice, channel by channel."""
    channels = notice.channels
    if not channels:
        return []
    try:
        return await workflow.execute_activity_method(
            Notify.notify,
            notice,
            summary=f"tell {', '.join(channel.name for channel in channels)}: {notice.title}",
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


def page(temporal_ui: str) -> str:
    """The running workflow's page in the Temporal UI; empty where none is known."""
    if not temporal_ui:
        return ""
    escaped = workflow.info().workflow_id.replace("/", "%2F")
    return f"{temporal_ui}/namespaces/{workflow.info().namespace}/workflows/{escaped}"

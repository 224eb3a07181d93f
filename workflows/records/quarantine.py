"""A quarantine that the promotion could not write before it ended."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.inputs import QuarantineInput
    from activities.quarantine import Quarantine
    from release.records import QUARANTINE, Kept, RecordRequest

from workflows import options
from workflows.failures import root_cause


async def owed_quarantine(request: RecordRequest) -> Kept | None:
    """The commit that went back is refused from now on; None where the promotion saw to it.

    An hour without its table would otherwise let it in again for ever.
    """
    owed = [note for note in request.status.inbox if note.kind == QUARANTINE and not note.accepted]
    if not owed:
        return None
    promotion = request.promotion
    order = QuarantineInput(
        table=promotion.policy.table_name("prod"),
        sha=promotion.sha,
        version=promotion.version,
        promotion=request.status.workflow_id,
        reason=request.status.reason,
        at=owed[0].at,
    )
    try:
        await workflow.execute_activity_method(
            Quarantine.quarantine,
            order,
            summary=f"quarantine {promotion.sha[:12]}, which was owed",
            **options.RECORD,
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        return Kept(what=QUARANTINE, done=False, text=root_cause(failure))
    return Kept(what=QUARANTINE, done=True, text=f"{promotion.sha[:12]} stays out of production")

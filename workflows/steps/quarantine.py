"""A commit that was rolled back does not come back by itself."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.inputs import AliasInput, QuarantineCheckInput, QuarantineInput, ReconcileInput
    from activities.quarantine import Quarantine
    from release.records import QUARANTINE

from workflows import options
from workflows.state import PromotionState


async def refuse_quarantined(state: PromotionState) -> None:
    """The commit, and what it is built on, was not rolled back before; or that has been mended."""
    policy, request = state.policy, state.request
    notes = await workflow.execute_activity_method(
        Quarantine.reconcile,
        ReconcileInput(
            table=policy.table_name("prod"),
            aliases=tuple(
                AliasInput(function=function, alias=policy.alias)
                for function in policy.function_names("prod").values()
            ),
        ),
        summary="what was put back past the releases",
        **options.ADMISSION,
    )
    for note in notes:
        state.note(note.hand.value, note.by, None, f"{note.reason} ({note.at:%Y-%m-%d %H:%M} UTC)")
    await workflow.execute_activity_method(
        Quarantine.refuse_quarantined,
        QuarantineCheckInput(table=policy.table_name("prod"), sha=request.sha),
        summary="is the commit quarantined?",
        **options.ADMISSION,
    )


async def quarantine(state: PromotionState, reason: str) -> None:
    """The commit is refused from now on. The old version is back already: this blocks nothing.

    What cannot be written is noted, and owed by the record: `workflows/records/quarantine.py`.
    """
    request = state.request
    try:
        await workflow.execute_activity_method(
            Quarantine.quarantine,
            QuarantineInput(
                table=state.policy.table_name("prod"),
                sha=request.sha,
                version=request.version,
                promotion=workflow.info().workflow_id,
                reason=reason,
                at=workflow.now(),
            ),
            summary=f"quarantine {request.sha[:12]}",
            **options.AWS_CALL,
        )
    except ActivityError as failure:
        state.note(QUARANTINE, "the promotion", f"{failure.cause or failure}", "")

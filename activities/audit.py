"""Export a run's history before Temporal deletes it: hash-chained, written once."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.audit_store import AuditStore, Differs
from activities.histories import is_running, read_events
from activities.inputs import AuditInput
from release.audit_chain import Kind, to_text
from release.audit_events import at
from release.audit_export import AuditRecord, export, key


class Audits:
    """Reads Temporal, writes S3 and DynamoDB."""

    def __init__(self, client: Client, s3: Any, dynamodb: Any) -> None:
        self._client = client
        self._s3 = s3
        self._dynamodb = dynamodb

    @activity.defn
    async def export_audit(self, order: AuditInput) -> AuditRecord:
        """The run's whole history lies in S3, and the head of its chain in DynamoDB.

        Raises:
            ApplicationError: the run still goes on (a retry helps); its history is gone, or
                something else lies where it belongs (a retry does not help).
        """
        if await is_running(self._client, order.workflow_id, order.run_id):
            raise ApplicationError(f"run {order.run_id} has not closed yet", type="StillRunning")
        events = await read_events(self._client, order.workflow_id, order.run_id)
        if not events:
            raise ApplicationError(
                "Temporal has deleted the history already", type="HistoryGone", non_retryable=True
            )
        made = export(events, order.workflow_id, order.run_id, order.genesis)
        record = AuditRecord(
            workflow_id=order.workflow_id,
            run_id=order.run_id,
            head=made.head,
            key=key(order.workflow_id, order.run_id),
            events=len(made.contents(Kind.EVENT)),
            at=at(events[-1]),
        )
        store = AuditStore(self._s3, self._dynamodb, order.bucket, order.table)
        try:
            return await asyncio.to_thread(_keep, store, record, to_text(made))
        except Differs as difference:
            raise ApplicationError(
                str(difference), type="AuditDiffers", non_retryable=True
            ) from difference


def _keep(store: AuditStore, record: AuditRecord, text: str) -> AuditRecord:
    """The file first: a head without its file would accuse nobody of anything."""
    store.put(record.key, text)
    locked = record.model_copy(update={"lock": store.lock(record.key)})
    store.record(locked)
    return locked

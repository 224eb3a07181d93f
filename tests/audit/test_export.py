"""What is kept of a promotion when Temporal has deleted its history."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.audit import Audits
from activities.audit_store import AuditStore, Differs
from activities.inputs import AuditInput
from release.audit_chain import Kind, read
from release.audit_export import AuditRecord, key
from release.promotion import PromotionRequest
from tests.flow.release_system import ReleaseSystem, project_policy
from tests.local import front_door_parts as parts
from tests.service.service_parts import new_table
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")
RECORD = AuditRecord(
    workflow_id="promotion/crypto-watch/aaaaaaaaaaaa",
    run_id="01a20f98-0000-7000-8000-000000000000",
    head="a" * 64,
    key="audit/promotion/crypto-watch/aaaaaaaaaaaa/01a20f98-0000-7000-8000-000000000000.jsonl",
    events=3,
    at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
)


async def promoted(release_system: ReleaseSystem, sha: str) -> WorkflowHandle:
    """A promotion under its own id, as outside of tests, that waits for its approvers."""
    order = PromotionRequest(sha=sha, version="1.2.3", requested_by="dora", policy=project_policy())
    handle = await release_system.environment.client.start_workflow(
        PromotionWorkflow.run, order, id=order.workflow_id, task_queue=release_system.queue
    )
    await release_system.sign_off_all(handle)
    await release_system.until(handle, lambda status: status.digest)
    return handle


async def record_of(release_system: ReleaseSystem, handle: WorkflowHandle) -> WorkflowHandle:
    """The workflow that the promotion left behind to write its record."""
    events = json.loads((await handle.fetch_history()).to_json())["events"]
    [identity] = [
        event["startChildWorkflowExecutionInitiatedEventAttributes"]["workflowId"]
        for event in events
        if "startChildWorkflowExecutionInitiatedEventAttributes" in event
    ]
    client = release_system.environment.client
    return client.get_workflow_handle_for(RecordWorkflow.run, identity)


async def test_closed_promotion_is_kept_with_its_head(release_system, temporal, cloud):
    """The file in S3 leads to the head in DynamoDB, and holds every event, also the close."""
    release_system.script.export = _audits(temporal, cloud).export_audit
    handle = await promoted(release_system, sha="b" * 40)
    await handle.signal("reject", {"approver": "bob", "comment": "not today"})
    await handle.result()

    async with asyncio.timeout(30):
        audit = (await (await record_of(release_system, handle)).result()).kept[-1]

    [record] = cloud.store.records(handle.id)
    export = read(cloud.store.get(record.key) or "")
    assert audit.done, audit.text
    assert (export.problems, export.head) == ((), record.head)
    assert record.head in audit.text
    assert export.contents(Kind.EVENT)[-1]["eventType"].endswith("EXECUTION_COMPLETED")
    assert export.contents(Kind.DECISION)[-1]["outcome"] == "rejected"
    assert export.header["sha"] == "b" * 40


async def test_bucket_with_a_lock_keeps_the_export_from_being_deleted(cloud):
    """The bucket's own retention covers the export, and the record says until when."""
    cloud.store.put(RECORD.key, "text")

    [version] = cloud.s3.list_object_versions(Bucket=cloud.bucket)["Versions"]
    assert cloud.store.lock(RECORD.key).startswith("compliance until 20")
    with pytest.raises(ClientError):
        cloud.s3.delete_object(Bucket=cloud.bucket, Key=RECORD.key, VersionId=version["VersionId"])


async def test_running_promotion_is_waited_for(release_system, temporal, cloud):
    """Half a history is not kept: until the promotion has closed the export is retried."""
    handle = await release_system.promote_to_approval()
    order = await _order(handle, cloud)

    with pytest.raises(ApplicationError) as waiting:
        await ActivityEnvironment().run(_audits(temporal, cloud).export_audit, order)

    assert (waiting.value.type, waiting.value.non_retryable) == ("StillRunning", False)
    assert cloud.store.records(handle.id) == []
    await handle.terminate("the test is over")


async def test_retry_writes_nothing_new(release_system, temporal, cloud):
    """An export that is there already, by an earlier try, is the answer."""
    handle = await _terminated(release_system)
    order = await _order(handle, cloud)
    export = _audits(temporal, cloud).export_audit

    first = await ActivityEnvironment().run(export, order)
    again = await ActivityEnvironment().run(export, order)

    assert again == first
    assert len(cloud.s3.list_object_versions(Bucket=cloud.bucket)["Versions"]) == 1


async def test_another_file_in_its_place_is_left_and_said(release_system, temporal, cloud):
    """A file that somebody put there is not overwritten; trying again would not help."""
    handle = await _terminated(release_system)
    order = await _order(handle, cloud)
    cloud.store.put(key(handle.id, order.run_id), "forged")

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(_audits(temporal, cloud).export_audit, order)

    assert (refused.value.type, refused.value.non_retryable) == ("AuditDiffers", True)
    assert cloud.store.get(key(handle.id, order.run_id)) == "forged"
    assert cloud.store.records(handle.id) == []


async def test_deleted_history_is_said_and_not_retried(temporal, cloud):
    """What Temporal has forgotten cannot be exported, however often it is tried."""
    order = AuditInput(
        workflow_id="promotion/crypto-watch/unknown",
        run_id="01a20f98-0000-7000-8000-000000000000",
        bucket=cloud.bucket,
        table=cloud.table,
    )

    with pytest.raises(ApplicationError) as gone:
        await ActivityEnvironment().run(_audits(temporal, cloud).export_audit, order)

    assert (gone.value.type, gone.value.non_retryable) == ("HistoryGone", True)


async def test_recorded_head_is_never_replaced(cloud):
    """A second head for the same run is refused; the same one once more is not."""
    cloud.store.record(RECORD)
    cloud.store.record(RECORD)

    with pytest.raises(Differs):
        cloud.store.record(RECORD.model_copy(update={"head": "b" * 64}))

    assert cloud.store.records(RECORD.workflow_id) == [RECORD]


async def test_runs_of_one_id_are_told_apart(cloud):
    """A commit that was promoted twice has two records, and another commit's is not among them."""
    later = RECORD.model_copy(update={"run_id": "02", "at": datetime(2026, 2, 1, tzinfo=UTC)})
    longer = RECORD.model_copy(update={"workflow_id": f"{RECORD.workflow_id}-2"})
    for record in (later, RECORD, longer):
        cloud.store.record(record)

    assert cloud.store.records(RECORD.workflow_id) == [RECORD, later]


async def test_any_workflow_can_be_kept_behind_a_promotion(release_system, temporal, cloud):
    """The export of another workflow, bound to the promotion's head, is whole in itself."""
    handle = await release_system.promote_to_approval()
    await handle.signal("reject", {"approver": "bob"})
    await handle.result()
    record_run = await record_of(release_system, handle)
    await record_run.result()
    order = (await _order(record_run, cloud)).model_copy(update={"genesis": "c" * 64})

    record = await ActivityEnvironment().run(_audits(temporal, cloud).export_audit, order)

    export = read(cloud.store.get(record.key) or "", genesis="c" * 64)
    assert (export.problems, export.header["type"]) == ((), "RecordWorkflow")
    assert export.contents(Kind.DECISION) == []


def _audits(temporal, cloud) -> Audits:
    return Audits(temporal.client, cloud.s3, cloud.dynamodb)


async def _order(handle: WorkflowHandle, cloud) -> AuditInput:
    run_id = (await handle.describe()).run_id
    return AuditInput(workflow_id=handle.id, run_id=run_id, bucket=cloud.bucket, table=cloud.table)


async def _terminated(release_system) -> WorkflowHandle:
    handle = await release_system.promote_to_approval()
    await handle.terminate("by an operator")
    return handle


async def test_laptop_cloud_keeps_audits_too(tmp_path):
    """Its S3 has no lock, which the record says by an empty one; all else is as on AWS."""
    with parts.ministack(tmp_path) as (port, _):
        s3, bucket = parts.client("s3", port), "crypto-watch-artifacts"
        s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        table = new_table(f"http://127.0.0.1:{port}")
        store = AuditStore(s3, parts.client("dynamodb", port), bucket, table.name)

        store.put(RECORD.key, "text")
        store.put(RECORD.key, "text")
        store.record(RECORD)
        with pytest.raises(Differs):
            store.put(RECORD.key, "another")
        with pytest.raises(Differs):
            store.record(RECORD.model_copy(update={"head": "b" * 64}))

        assert (store.get(RECORD.key), store.lock(RECORD.key)) == ("text", "")
        assert store.get("audit/none.jsonl") is None
        assert store.keys("audit/") == [RECORD.key]
        assert store.records(RECORD.workflow_id) == [RECORD]

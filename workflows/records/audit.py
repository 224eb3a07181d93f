"""The audit: the promotion's whole history, kept before Temporal deletes it."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.audit import Audits
    from activities.inputs import AuditInput
    from release.records import Kept, RecordRequest

from workflows import options

WHAT = "audit"


async def keep_audit(request: RecordRequest) -> Kept:
    """The history lies in S3 with the head of its chain in DynamoDB; or why it cannot, for good."""
    policy = request.promotion.policy
    order = AuditInput(
        workflow_id=request.status.workflow_id,
        run_id=request.run_id,
        bucket=policy.artifact_bucket,
        table=policy.table_name("prod"),
    )
    try:
        record = await workflow.execute_activity_method(
            Audits.export_audit,
            order,
            summary="keep the promotion's history, once it has closed",
            **options.RECORD,
        )
    except ActivityError as error:
        do = f"save it by hand: starter.py audit {order.workflow_id} --format json"
        return Kept(what=WHAT, done=False, text=f"{error.cause}; {do}")
    lock = f"locked: {record.lock}" if record.lock else "the bucket locks no objects"
    text = f"s3://{policy.artifact_bucket}/{record.key}, {record.events} events, {lock}"
    return Kept(what=WHAT, done=True, text=f"{text}; head {record.head}")

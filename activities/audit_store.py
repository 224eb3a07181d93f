"""Where exports lie: the files in S3, the heads of their chains in DynamoDB."""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from activities.aws import error_code
from release.audit_export import PARTITION, AuditRecord

_MISSING = ("NoSuchKey", "404", "NotFound")
_EXISTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Differs(Exception):
    """Something else lies there already; it is left as it is."""


class AuditStore:
    """Reads exports and records; writes each once and overwrites none."""

    def __init__(self, s3: Any, dynamodb: Any, bucket: str, table: str) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._bucket = bucket
        self._table = table

    def get(self, key: str) -> str | None:
        """The text that lies there now; a locked bucket still has the ones before it."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        return str(answer["Body"].read().decode(errors="replace"))

    def put(self, key: str, text: str) -> None:
        """The text lies in S3, under the bucket's own lock if it has one.

        Raises Differs when another text does.
        """
        if self.get(key) is None:
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=text.encode(),
                    ContentType="application/x-ndjson",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) not in _EXISTS:
                    raise
        if self.get(key) != text:
            raise Differs(f"s3://{self._bucket}/{key} holds something else")

    def keys(self, prefix: str) -> list[str]:
        """The keys of every object below a prefix."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def lock(self, key: str) -> str:
        """How S3 keeps the object from being deleted, as S3 says it; empty: it does not."""
        head = self._s3.head_object(Bucket=self._bucket, Key=key)
        mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
        if not mode or not isinstance(until, datetime):
            return ""
        return f"{mode.lower()} until {until:%Y-%m-%d}"

    def record(self, record: AuditRecord) -> None:
        """The head stands in the table.

        Raises Differs when the run has another head there.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=record.to_item(),
                ConditionExpression="attribute_not_exists(PK) OR head = :head",
                ExpressionAttributeValues={":head": {"S": record.head}},
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            raise Differs(
                f"{PARTITION} in {self._table} has another head for run {record.run_id}"
            ) from error

    def records(self, workflow_id: str) -> list[AuditRecord]:
        """The records of a workflow's runs, oldest first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :partition AND begins_with(SK, :id)",
            ExpressionAttributeValues={
                ":partition": {"S": PARTITION},
                ":id": {"S": f"{workflow_id}#"},
            },
            ConsistentRead=True,
        )
        found = [AuditRecord.from_item(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda record: record.at)

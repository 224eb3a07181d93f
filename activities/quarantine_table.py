"""The quarantine's records in the environment's table; none is ever deleted."""

from typing import Any

from botocore.exceptions import ClientError

from activities.aws import error_code
from release.quarantine import PARTITION, Entry, Released, release_fields

_TRIES = 10
_CHANGED = "ConditionalCheckFailedException"


class QuarantineTable:
    """Reads and writes records; each write is conditional on what was read."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def all(self) -> list[Entry]:
        """Every record, released ones too, oldest first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :partition",
            ExpressionAttributeValues={":partition": {"S": PARTITION}},
            ConsistentRead=True,
        )
        found = [Entry.from_item(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda entry: (entry.at, entry.sha))

    def add(self, entry: Entry) -> None:
        """The commit is quarantined; a rollback that is known already changes nothing.

        Raises RuntimeError when others write the record all the time; a retry helps.
        """
        for _ in range(_TRIES):
            known = self.get(entry.sha)
            new = entry if known is None else known.again(entry)
            if new is None or self._put(new, known):
                return
        raise RuntimeError(f"the quarantine of {entry.sha[:12]} is being written by others")

    def release(self, sha: str, released: Released) -> bool:
        """The commit may go to production; False when it was not quarantined."""
        fields = release_fields(released)
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(sha),
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in fields),
                ConditionExpression="attribute_exists(PK) AND attribute_not_exists(releasedAt)",
                ExpressionAttributeValues={f":{name}": value for name, value in fields.items()},
            )
        except ClientError as error:
            if error_code(error) != _CHANGED:
                raise
            return False
        return True

    def get(self, sha: str) -> Entry | None:
        """The commit's record."""
        answer = self._dynamodb.get_item(TableName=self._table, Key=_key(sha), ConsistentRead=True)
        return Entry.from_item(answer["Item"]) if "Item" in answer else None

    def _put(self, entry: Entry, known: Entry | None) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(PK)"}
        if known is not None and known.released is not None:
            condition = {
                "ConditionExpression": "releasedAt = :read",
                "ExpressionAttributeValues": {
                    ":read": release_fields(known.released)["releasedAt"]
                },
            }
        try:
            self._dynamodb.put_item(TableName=self._table, Item=entry.to_item(), **condition)
        except ClientError as error:
            if error_code(error) != _CHANGED:
                raise
            return False
        return True


def _key(sha: str) -> dict[str, Any]:
    return {"PK": {"S": PARTITION}, "SK": {"S": sha}}

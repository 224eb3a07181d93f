"""The deployment record in an environment's table: what is active changes in one transaction."""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from activities.aws import error_code
from release.deployment import Deployment, Pointer, key, partition, pointer_key
from release.deployments import updated

_TRIES = 10
_SHORT_SHA = 7
_OVERTAKEN = {"ConditionalCheckFailed", "TransactionConflict", "TransactionInProgressException"}


class DeploymentTable:
    """Reads and writes one environment's versions; the pointer's revision serializes writers."""

    def __init__(self, dynamodb: Any, table: str, environment: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._environment = environment

    def all(self) -> list[Deployment]:
        """Every version, the one that was deployed last first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :partition",
            ExpressionAttributeValues={":partition": {"S": partition(self._environment)}},
            ConsistentRead=True,
        )
        found = [Deployment.from_item(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda one: one.deployed_at or one.changes[0].at, reverse=True)

    def record(self, told: Iterable[Deployment]) -> list[Deployment]:
        """What was told stands in the record, as returned; told again, nothing is written.

        A version's name that another commit has got is never taken from it: this one's is
        extended by its commit, `1.2.3+abc1234`.

        Raises RuntimeError when others write all the time; a retry helps.
        """
        told = list(told)
        for _ in range(_TRIES):
            # first of all: whoever writes after this read changes it, and our write then fails
            pointer = self._pointer()
            named = [self._named(one) for one in told]
            known = self._known({pointer.version, *(one.version for one in named)})
            new, after = updated(pointer, known, named)
            changed = [one for one in after.values() if one != known.get(one.version)]
            if (new == pointer and not changed) or self._write(pointer, new, changed):
                return [after[one.version] for one in named]
        raise RuntimeError(f"the record in {self._table} is being written by others")

    def _named(self, one: Deployment) -> Deployment:
        known = self._get(one.version)
        if known is None or known.git_commit == one.git_commit:
            return one
        apart = f"{one.version.partition('+')[0]}+{one.git_commit[:_SHORT_SHA]}"
        return one.model_copy(update={"version": apart})

    def _known(self, versions: set[str]) -> dict[str, Deployment]:
        found = {version: self._get(version) for version in sorted(versions) if version}
        return {version: one for version, one in found.items() if one is not None}

    def _get(self, version: str) -> Deployment | None:
        item = self._read(key(self._environment, version))
        return Deployment.from_item(item) if item else None

    def _pointer(self) -> Pointer:
        item = self._read(pointer_key(self._environment))
        return Pointer.from_item(item) if item else Pointer()

    def _read(self, key: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        found: dict[str, Any] | None = answer.get("Item")
        return found

    def _write(self, read: Pointer, new: Pointer, changed: list[Deployment]) -> bool:
        """All of it at once; False if somebody wrote since the pointer was read."""
        raised = new.model_copy(update={"revision": read.revision + 1})
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(PK)"}
        if read.revision:
            condition = {
                "ConditionExpression": "revision = :read",
                "ExpressionAttributeValues": {":read": {"N": str(read.revision)}},
            }
        puts = [{"Item": raised.to_item(self._environment)} | condition]
        puts += [{"Item": one.to_item()} for one in changed]
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[{"Put": {"TableName": self._table} | put} for put in puts]
            )
        except ClientError as error:
            if not _was_overtaken(error):
                raise
            return False
        return True


def _was_overtaken(error: ClientError) -> bool:
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons} | {error_code(error)}
    return bool(codes & _OVERTAKEN)

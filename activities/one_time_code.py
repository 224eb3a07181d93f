"""Checks the one-time code that an approver sends: it is theirs, it is of now, and it is new."""

import binascii
import hmac
import random
import time
from datetime import datetime
from typing import Any, NamedTuple

import pyotp
from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.inputs import CodeInput
from activities.secrets import read_secret
from release.proof import (
    CodeResult,
    CodeState,
    CodeVerdict,
    answer_known,
    judge_code,
    looks_like_code,
    secret_name,
    steps_around,
)

_TRIES = 30
_LEAST_SECRET_BYTES = 16  # RFC 4226, R6


class OneTimeCodes:
    """The secrets lie in Secrets Manager, what was used and guessed in the environment's table."""

    def __init__(self, secrets: Any, dynamodb: Any) -> None:
        self._secrets = secrets
        self._dynamodb = dynamodb

    @activity.defn
    def check_code(self, order: CodeInput) -> CodeResult:
        """The verdict, written down before it is told: one code is accepted once, by anybody.

        An attempt that is retried hears its first verdict again. Of attempts at one time each sees
        what the others wrote, by compare-and-set on the approver's row.

        Raises:
            ApplicationError: too many attempts at one time; a retry helps.
        """
        name = secret_name(order.service, order.approver)
        if name is None:
            return _no_secret("no secret can have such a name; use letters, digits and _+=.@-")
        steps: tuple[int, ...] | None = None if looks_like_code(order.code) else ()
        for number in range(_TRIES):
            time.sleep(random.uniform(0, 0.02 * number))  # noqa: S311  it spreads the attempts  # nosec B311
            row = self._read(order)
            known = answer_known(row.state, order.attempt, order.at)
            if known is not None:
                return known
            if steps is None:
                secret = read_secret(self._secrets, name)
                if secret is None:
                    return _no_secret(_enrol(order.approver, "has no secret for codes", ""))
                steps = _steps_of(secret, order.code, order.at)
                if steps is None:
                    return _no_secret(
                        _enrol(order.approver, "has a malformed secret", " --replace")
                    )
            state, result = judge_code(row.state, order.attempt, order.at, steps)
            if state == row.state or self._write(order, row, state):
                return result
        raise ApplicationError("too many codes of one approver at one time", type="CodesContended")

    def _read(self, order: CodeInput) -> "_Row":
        answer = self._dynamodb.get_item(
            TableName=order.table, Key=_key(order.approver), ConsistentRead=True
        )
        item = answer.get("Item")
        if item is None:
            return _Row(CodeState(), None)
        return _Row(CodeState.model_validate_json(item["state"]["S"]), int(item["revision"]["N"]))

    def _write(self, order: CodeInput, row: "_Row", state: CodeState) -> bool:
        """Whether the row was still as it was read; if not, nothing was written."""
        item = {
            **_key(order.approver),
            "revision": {"N": str((row.revision or 0) + 1)},
            "state": {"S": state.model_dump_json()},
        }
        conditions = ["attribute_not_exists(PK)" if row.revision is None else "revision = :read"]
        values = {} if row.revision is None else {":read": {"N": str(row.revision)}}
        if state.last_step is not None:
            item["lastStep"] = {"N": str(state.last_step)}
        if state.last_step != row.state.last_step:
            conditions.append("(attribute_not_exists(lastStep) OR lastStep < :step)")
            values[":step"] = item["lastStep"]
        given = {"ExpressionAttributeValues": values} if values else {}
        try:
            self._dynamodb.put_item(
                TableName=order.table,
                Item=item,
                ConditionExpression=" AND ".join(conditions),
                **given,
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True


class _Row(NamedTuple):
    state: CodeState
    revision: int | None


def _key(approver: str) -> dict[str, Any]:
    return {"PK": {"S": f"TOTP#{approver}"}, "SK": {"S": "METADATA"}}


def _steps_of(secret: str, given: str, at: datetime) -> tuple[int, ...] | None:
    """The steps around `at` whose code was given; None if the secret is none."""
    try:
        codes = pyotp.HOTP(secret.strip())
        if len(codes.byte_secret()) < _LEAST_SECRET_BYTES:
            return None
    except (binascii.Error, ValueError):
        return None
    # all are compared, each in constant time: how long it takes tells nothing
    matches = [(step, hmac.compare_digest(codes.at(step), given)) for step in steps_around(at)]
    return tuple(step for step, matched in matches if matched)


def _enrol(approver: str, what: str, option: str) -> str:
    return f"{approver} {what}: an operator runs `starter.py approvers enrol {approver}{option}`"


def _no_secret(text: str) -> CodeResult:
    return CodeResult(verdict=CodeVerdict.NO_SECRET, text=text)

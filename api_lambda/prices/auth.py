"""API keys and their rate limit: both in one conditional write per request.

The key's item counts the requests of one minute. The normal request is one UpdateItem that adds
one while the key is good and the minute has room; the item that comes back with a failed
condition tells why. DynamoDB does the comparing, so the limit is exact however many Lambdas ask.
"""

import hashlib
import math
import re
from typing import Any, NamedTuple

from answers import ApiError, rate_limited, unauthorized
from dynamodb import ConditionFailedError, DynamoDB, Item, UnavailableError

WINDOW_SECONDS = 60
LONGEST_KEY = 256
# A turn is lost only when another request moved the window at the same moment.
TURNS = 5

_OUR_KEY = re.compile(r"(cw_[a-z]+_)[A-Za-z0-9_-]{12,}([A-Za-z0-9_-]{4})")
_GOOD_KEY = "enabled = :true AND (attribute_not_exists(expiresAt) OR expiresAt > :now)"
_COUNT = {
    "UpdateExpression": "SET rateCount = rateCount + :one",
    "ConditionExpression": f"{_GOOD_KEY} AND rateWindow = :window AND rateCount < :limit",
}
_OPEN_WINDOW = {"UpdateExpression": "SET rateWindow = :window, rateCount = :one"}
_FIRST_WINDOW = f"{_GOOD_KEY} AND attribute_not_exists(rateWindow)"
_NEXT_WINDOW = f"{_GOOD_KEY} AND rateWindow = :seen"


class Quota(NamedTuple):
    """What a key has left in the running minute."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """The rate-limit headers of the IETF httpapi draft, as APIs commonly send them."""
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset_seconds),
        }


class RateLimitedError(Exception):
    """The key is good and has no request left; `quota` says until when."""

    def __init__(self, quota: Quota) -> None:
        super().__init__("the key has no request left in this minute")
        self.quota = quota

    def answer(self) -> ApiError:
        """The 429 that the client gets."""
        return rate_limited(self.quota.limit, self.quota.reset_seconds)


def mask(key: str) -> str:
    """A form of the key that may be logged: its prefix and last four characters.

    A text that is not one of our keys may be another service's secret: nothing of it is shown.
    """
    parts = _OUR_KEY.fullmatch(key)
    return f"{parts[1]}****{parts[2]}" if parts else "****"


def admit(store: DynamoDB, table: str, key: str, limit: int, now: float) -> Quota:
    """The key's quota after this request was counted.

    Raises the 401 ApiError for a missing, unknown, disabled or expired key, RateLimitedError
    when the minute is used up, UnavailableError when DynamoDB cannot say.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise unauthorized()
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    write = _count(table, digest, limit, now, int(now // WINDOW_SECONDS))
    for _ in range(TURNS):
        try:
            counted = store.call("UpdateItem", write)["Attributes"]
        except ConditionFailedError as failure:
            write = _next_write(failure.item, table, digest, limit, now)
        else:
            window = int(write["ExpressionAttributeValues"][":window"]["N"])
            return _quota(limit, int(counted["rateCount"]["N"]), window, now)
    raise UnavailableError("the rate limit's window kept moving")


def _next_write(item: Item, table: str, digest: str, limit: int, now: float) -> dict[str, Any]:
    """The write that fits what stands, or the reason why there is none."""
    if not item.get("enabled", {}).get("BOOL") or _expired(item, now):
        raise unauthorized()
    window = int(now // WINDOW_SECONDS)
    seen = int(item["rateWindow"]["N"]) if "rateWindow" in item else None
    # One minute ahead is another machine's clock: count with it, do not set it back.
    if seen not in (window, window + 1) or "rateCount" not in item:
        return _open_window(table, digest, now, window, seen)
    if int(item["rateCount"]["N"]) >= limit:
        raise RateLimitedError(_quota(limit, limit, seen, now))
    return _count(table, digest, limit, now, seen)


def _expired(item: Item, now: float) -> bool:
    return "expiresAt" in item and float(item["expiresAt"]["N"]) <= int(now)


def _count(table: str, digest: str, limit: int, now: float, window: int) -> dict[str, Any]:
    return {**_write(table, digest, now, window, {":limit": limit}), **_COUNT}


def _open_window(
    table: str, digest: str, now: float, window: int, seen: int | None
) -> dict[str, Any]:
    condition = _FIRST_WINDOW if seen is None else _NEXT_WINDOW
    values = {} if seen is None else {":seen": seen}
    write = _write(table, digest, now, window, values)
    return {**write, **_OPEN_WINDOW, "ConditionExpression": condition}


def _write(
    table: str, digest: str, now: float, window: int, values: dict[str, int]
) -> dict[str, Any]:
    numbers = {":now": int(now), ":window": window, ":one": 1, **values}
    return {
        "TableName": table,
        "Key": {"PK": {"S": f"APIKEY#{digest}"}, "SK": {"S": "METADATA"}},
        "ExpressionAttributeValues": {
            ":true": {"BOOL": True},
            **{name: {"N": str(number)} for name, number in numbers.items()},
        },
        "ReturnValues": "UPDATED_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _quota(limit: int, used: int, window: int, now: float) -> Quota:
    reset = math.ceil((window + 1) * WINDOW_SECONDS - now)
    return Quota(limit, max(0, limit - used), max(1, reset))

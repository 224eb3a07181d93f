"""API keys and their rate limit: both in one conditional write per request.

The key's item counts the requests of one minute. The normal request is one UpdateItem that adds
one while the key is good and the minute has room; the item that comes back with a failed
condition tells why. DynamoDB does the comparing, so the limit is exact however many Lambdas ask.

While DynamoDB is down nobody can compare. A key that it admitted here in the last five minutes is
then counted in this execution environment alone, so that prices held in memory still reach those
who may read them; every other key has to wait.
"""

import hashlib
import math
import re
import time
from typing import Any, NamedTuple

from answers import ApiError, rate_limited, unauthorized
from dynamodb import (
    BRIEF,
    PATIENT,
    QUICK,
    ConditionFailedError,
    DynamoDB,
    Item,
    Patience,
    UnavailableError,
)

WINDOW_SECONDS = 60
LONGEST_KEY = 256
# A turn is lost only when another request moved the window at the same moment.
TURNS = 5
# In an outage: how long a key stays known, how many of them, and how often DynamoDB is asked.
KNOWN_SECONDS = 300.0
MOST_KNOWN = 1000
ASK_AGAIN_SECONDS = 5.0

_OUR_KEY = re.compile(r"(cw_[a-z]+_)[A-Za-z0-9_-]{12,}([A-Za-z0-9_-]{4})")
_GOOD_KEY = "enabled = :true AND (attribute_not_exists(expiresAt) OR expiresAt > :now)"
_COUNT = {
    "UpdateExpression": "SET rateCount = rateCount + :one",
    "ConditionExpression": f"{_GOOD_KEY} AND rateWindow = :window AND rateCount < :limit",
}
_OPEN_WINDOW = {"UpdateExpression": "SET rateWindow = :window, rateCount = :one"}
_FIRST_WINDOW = f"{_GOOD_KEY} AND attribute_not_exists(rateWindow)"
_NEXT_WINDOW = f"{_GOOD_KEY} AND rateWindow = :seen"

Attribute = dict[str, Any]


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


class Use(NamedTuple):
    """A good key's requests in a minute, as known at `at` (epoch seconds); this one included."""

    at: float
    window: int
    used: int


def mask(key: str) -> str:
    """A form of the key that may be logged: its prefix and last four characters.

    A text that is not one of our keys may be another service's secret: nothing of it is shown.
    """
    parts = _OUR_KEY.fullmatch(key)
    return f"{parts[1]}****{parts[2]}" if parts else "****"


class Gate:
    """Lets requests in by their key; one per execution environment.

    `failure` is why DynamoDB could not be asked of late; None while it answers.
    """

    def __init__(self, store: DynamoDB, table: str, limit: int) -> None:
        self._store = store
        self._table = table
        self._limit = limit
        self._known: dict[str, Use] = {}
        self._failed_at = float("-inf")
        self.failure: UnavailableError | None = None

    def admit(self, key: str, now: float) -> Quota:
        """The key's quota after this request was counted.

        Raises the 401 ApiError for a missing, unknown, disabled or expired key, RateLimitedError
        when the minute is used up, UnavailableError when DynamoDB cannot say and the key was not
        admitted here of late.
        """
        if not 0 < len(key) <= LONGEST_KEY:
            raise unauthorized()
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        resting = time.monotonic() - self._failed_at < ASK_AGAIN_SECONDS
        known = digest in self._known
        if not (self.failure and resting and known):
            try:
                use = self._count_there(digest, now, self._patience(known))
            except UnavailableError as error:
                self.failure, self._failed_at = error, time.monotonic()
            else:
                self.failure = None
                return self._decide(digest, use, now)
        return self._decide(digest, self._count_here(digest, now), now)

    def _patience(self, known: bool) -> Patience:
        """Nobody but DynamoDB can speak for an unknown key: a lone failure must not refuse it."""
        if self.failure:
            return BRIEF if known else QUICK
        return QUICK if known else PATIENT

    def _decide(self, digest: str, use: Use | None, now: float) -> Quota:
        self._known.pop(digest, None)
        if use is None:
            raise unauthorized()
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[digest] = use
        reset = math.ceil((use.window + 1) * WINDOW_SECONDS - now)
        quota = Quota(self._limit, max(0, self._limit - use.used), max(1, reset))
        if use.used > self._limit:
            raise RateLimitedError(quota)
        return quota

    def _count_here(self, digest: str, now: float) -> Use:
        use = self._known.get(digest)
        if use is None or now - use.at > KNOWN_SECONDS:
            raise UnavailableError(str(self.failure)) from self.failure
        window = max(int(now // WINDOW_SECONDS), use.window)
        return Use(use.at, window, use.used + 1 if window == use.window else 1)

    def _count_there(self, digest: str, now: float, patience: Patience) -> Use | None:
        """None for a key that is not good; a count above the limit was not written."""
        window = int(now // WINDOW_SECONDS)
        write = self._count(digest, now, window)
        opens = False
        for _ in range(TURNS):
            try:
                counted = self._store.call("UpdateItem", write, patience)["Attributes"]
            except ConditionFailedError as failure:
                item = failure.item
            else:
                window = int(write["ExpressionAttributeValues"][":window"]["N"])
                return Use(now, window, 1 if opens else int(counted["rateCount"]["N"]))
            if not _is_good(item, now):
                return None
            seen = _whole_number(item.get("rateWindow"))
            count = _whole_number(item.get("rateCount"))
            # One minute ahead is another machine's clock: count with it, do not set it back.
            if seen is None or seen - window not in (0, 1) or count is None:
                opens = True
                write = self._open_window(digest, now, window, item.get("rateWindow"))
            elif count >= self._limit:
                return Use(now, seen, self._limit + 1)
            else:
                opens = False
                write = self._count(digest, now, seen)
        raise UnavailableError("the rate limit's window kept moving")

    def _count(self, digest: str, now: float, window: int) -> dict[str, Any]:
        return {**self._write(digest, now, window, {":limit": _number(self._limit)}), **_COUNT}

    def _open_window(
        self, digest: str, now: float, window: int, seen: Attribute | None
    ) -> dict[str, Any]:
        condition = _FIRST_WINDOW if seen is None else _NEXT_WINDOW
        write = self._write(digest, now, window, {} if seen is None else {":seen": seen})
        return {**write, **_OPEN_WINDOW, "ConditionExpression": condition}

    def _write(
        self, digest: str, now: float, window: int, values: dict[str, Attribute]
    ) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Key": {"PK": {"S": f"APIKEY#{digest}"}, "SK": {"S": "METADATA"}},
            "ExpressionAttributeValues": {
                ":true": {"BOOL": True},
                ":now": _number(int(now)),
                ":window": _number(window),
                ":one": _number(1),
                **values,
            },
            "ReturnValues": "UPDATED_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _is_good(item: Item, now: float) -> bool:
    if item.get("enabled", {}).get("BOOL") is not True:
        return False
    if "expiresAt" not in item:
        return True
    expires_at = _whole_number(item["expiresAt"])
    return expires_at is not None and expires_at > int(now)


def _number(value: int) -> Attribute:
    return {"N": str(value)}


def _whole_number(attribute: Attribute | None) -> int | None:
    """The number of an attribute; None where there is none, as in an item of another shape."""
    try:
        return int(float((attribute or {})["N"]))
    except (KeyError, ValueError, OverflowError):
        return None

"""Keys and prices by a boto3 client made at import, as tutorials have it.

Every variant but this project's own uses this file, so that those differ by framework only. The
calls are the ones that this project makes: one conditional UpdateItem a request, which checks the
key and counts it, and one BatchGetItem for everything held when five seconds have passed.
"""

import hashlib
import os
import time
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from errors import ApiError, not_found, unauthorized
from price import price_of

REFRESH_SECONDS = 5.0
TURNS = 5
TABLE = os.environ["TABLE_NAME"]
LIMIT = int(os.environ["RATE_LIMIT_PER_MINUTE"])

_PATIENCE = Config(
    connect_timeout=3, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 4}
)
_GOOD_KEY = "enabled = :true AND (attribute_not_exists(expiresAt) OR expiresAt > :now)"
_COUNT = "SET rateCount = rateCount + :one"
_COUNTABLE = f"{_GOOD_KEY} AND rateWindow = :window AND rateCount < :limit"
_OPEN = "SET rateWindow = :window, rateCount = :one"
_FIRST = f"{_GOOD_KEY} AND attribute_not_exists(rateWindow)"
_NEXT = f"{_GOOD_KEY} AND rateWindow = :seen"

dynamodb = boto3.client("dynamodb", config=_PATIENCE)


def admit(key: str | None) -> None:
    """The request is counted; the 401 or the 429 ApiError when it may not go on."""
    if not key:
        raise unauthorized()
    now = int(time.time())
    window = {"N": str(now // 60)}
    item = _write(key, now, _COUNT, _COUNTABLE, {":window": window, ":limit": {"N": str(LIMIT)}})
    for _ in range(TURNS):
        if item is None:
            return
        if not item.get("enabled", {}).get("BOOL") or _expired(item, now):
            raise unauthorized()
        seen = item.get("rateWindow")
        if seen == window and int(item["rateCount"]["N"]) >= LIMIT:
            raise ApiError(429, "RATE_LIMIT_EXCEEDED", f"More than {LIMIT} requests a minute.")
        condition, more = (_NEXT, {":seen": seen}) if seen else (_FIRST, {})
        item = _write(key, now, _OPEN, condition, {":window": window, **more})
    raise ApiError(503, "SERVICE_UNAVAILABLE", "The price store does not answer.")


def _write(
    key: str, now: int, update: str, condition: str, values: dict[str, Any]
) -> dict[str, Any] | None:
    """None when it was written; what stands when the condition did not hold."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    always = {":true": {"BOOL": True}, ":now": {"N": str(now)}, ":one": {"N": "1"}}
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key={"PK": {"S": f"APIKEY#{digest}"}, "SK": {"S": "METADATA"}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeValues={**always, **values},
            ReturnValues="UPDATED_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as failure:
        item: dict[str, Any] = failure.response.get("Item", {})
        return item
    return None


def _expired(item: dict[str, Any], now: int) -> bool:
    return "expiresAt" in item and float(item["expiresAt"]["N"]) <= now


class Snapshot:
    """The prices last read, read again together after five seconds."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()
        self._read_at = float("-inf")

    def get(self, symbols: list[str]) -> list[dict[str, Any]]:
        """The prices in the order asked; the 404 or the 503 ApiError when one cannot be had."""
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            self._asked = set()
            self._read({*symbols, *self._items})
            self._read_at = time.monotonic()
        elif not self._asked.issuperset(symbols):
            self._read(set(symbols) - self._asked)
        unknown = [symbol for symbol in symbols if symbol not in self._items]
        if unknown:
            raise not_found(f"No such symbol: {', '.join(unknown)}.")
        now = time.time()
        prices = [price_of(self._items[symbol], now) for symbol in symbols]
        if None in prices:
            raise ApiError(503, "SERVICE_UNAVAILABLE", "No price younger than an hour.")
        return [price for price in prices if price]

    def newest(self) -> str:
        """When the newest price held was made; the health symbols are read when none is."""
        if not self._items:
            self.get(os.environ["SYMBOLS"].split(","))
        return max(item["lastUpdated"]["S"] for item in self._items.values())

    def _read(self, symbols: set[str]) -> None:
        keys = [{"PK": {"S": f"PRICE#{s}"}, "SK": {"S": "METADATA"}} for s in sorted(symbols)]
        answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
        self._asked |= symbols
        self._items.update({i["symbol"]["S"]: i for i in answer["Responses"].get(TABLE, [])})


snapshot = Snapshot()


def symbols_of(text: str | None) -> list[str]:
    """The symbols of a list, upper-case, each once; the 400 ApiError when there is none."""
    symbols = [part.strip().upper() for part in (text or "").split(",")]
    if not all(0 < len(s) <= 10 and s.isascii() and s.isalnum() for s in symbols):
        raise ApiError(400, "INVALID_REQUEST", "A symbol is 1 to 10 letters and digits.")
    return list(dict.fromkeys(symbols))


def newest_of(prices: list[dict[str, Any]]) -> str:
    """The newest `lastUpdated`."""
    return max(price["lastUpdated"] for price in prices)


def health() -> dict[str, Any]:
    """The body of a healthy /health."""
    newest = snapshot.newest()
    age = time.time() - datetime.fromisoformat(newest).timestamp()
    if age > 3600:
        raise ApiError(503, "SERVICE_UNAVAILABLE", "The newest price is older than an hour.")
    return {
        "status": "healthy",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": os.environ["RELEASE_VERSION"],
        "gitSha": os.environ["GIT_SHA"],
        "checks": {"dynamodb": "ok", "lastPriceUpdate": newest, "cacheAge": 0.0},
    }

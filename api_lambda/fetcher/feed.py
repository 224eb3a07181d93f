"""The price feed: CoinGecko v3's `/simple/price`."""

import email.utils
import json
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx

TRY_SECONDS = 5.0
PAUSES_SECONDS = (1.0, 2.0, 4.0)
LARGEST_ANSWER_BYTES = 1_000_000


class FeedError(Exception):
    """The feed gave no usable answer; the prices that stand are kept."""


class _RetryError(Exception):
    """This try failed in a way that another may not; `retry_after` seconds if the feed said."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def fetch(
    client: httpx.Client,
    base_url: str,
    ids: Sequence[str],
    api_key: str,
    deadline: float,
    pauses: Sequence[float] = PAUSES_SECONDS,
) -> dict[str, Any]:
    """The feed's answer: CoinGecko id to fields, numbers as Decimal, nothing checked yet.

    Retried on timeouts, broken connections, 429 and 5xx; the feed's own Retry-After counts when
    it asks for more. Gives up at once when a wait would pass `deadline` (`time.monotonic()`).

    Raises FeedError.
    """
    for pause in (*pauses, None):
        try:
            return _try(client, base_url, ids, api_key, deadline)
        except _RetryError as error:
            failure = error
        if pause is None:
            break
        # Up to a quarter more, so that several clients do not come back together.
        wait = max(pause, failure.retry_after or 0) * random.uniform(1, 1.25)  # noqa: S311 # nosec B311
        if time.monotonic() + wait >= deadline:
            raise FeedError(f"{failure}; no time for another try") from failure
        time.sleep(wait)
    raise FeedError(str(failure)) from failure


def _try(
    client: httpx.Client, base_url: str, ids: Sequence[str], api_key: str, deadline: float
) -> dict[str, Any]:
    until = min(time.monotonic() + TRY_SECONDS, deadline)
    query = {
        "ids": ",".join(ids),
        "vs_currencies": "usd",
        "include_market_cap": "true",
        "include_24hr_change": "true",
        "include_last_updated_at": "true",
    }
    headers = {"x-cg-demo-api-key": api_key} if api_key else {}
    timeout = max(0.001, until - time.monotonic())
    url = f"{base_url}/simple/price"
    try:
        with client.stream("GET", url, params=query, headers=headers, timeout=timeout) as answer:
            _check_status(answer)
            return _decode(_body(answer, until))
    except httpx.TransportError as error:
        raise _RetryError(type(error).__name__) from error
    except httpx.HTTPError as error:
        raise FeedError(type(error).__name__) from error


def _check_status(answer: httpx.Response) -> None:
    if answer.status_code == 429 or answer.status_code >= 500:
        retry_after = _seconds(answer.headers.get("retry-after", ""))
        raise _RetryError(f"HTTP {answer.status_code}", retry_after)
    if answer.status_code != 200:
        raise FeedError(f"HTTP {answer.status_code}")


def _seconds(retry_after: str) -> float | None:
    """Retry-After in seconds; it comes as a number or as a date (RFC 9110, 10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None


def _body(answer: httpx.Response, until: float) -> bytes:
    # httpx's timeout is for each read: a feed that drips bytes would never reach it.
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise FeedError("the answer is too large")
        if time.monotonic() > until:
            raise _RetryError("the answer took too long")
    return bytes(body)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        raise _RetryError("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise FeedError("the answer is not an object")
    return answer

"""Caching: fresh, stale and too old prices, measured on real and on made-up ones."""

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx

from activities.checks.context import CheckContext
from activities.checks.contract import error_deviations, moment
from activities.staging import Check, StagingClient, body

_FRESH = timedelta(minutes=5)  # the price service's contract: older is stale …
_OLDEST = timedelta(hours=1)  # … and older than this is not served
_AGE_TOLERANCE_SECONDS = 5
_LEFT_OVER = timedelta(hours=1)  # a killed worker's item is gone by its ttl


def cache(context: CheckContext, check: Check) -> None:
    """Fresh prices may be kept and revalidated, stale ones are marked, too old ones not served."""
    http = context.http()
    expect_fresh(context, check, http)
    with _price_made(context, "ZZS", _FRESH * 2) as symbol:
        _expect_stale(check, http.get(f"/prices/{symbol}"))
    with _price_made(context, "ZZO", _OLDEST + timedelta(minutes=5)) as symbol:
        # with a key of its own, so that `log-errors` knows this 503 as made by intention
        answer = http.get(f"/prices/{symbol}", key=http.keys.outage)
    wrong = error_deviations(answer, 503, "SERVICE_UNAVAILABLE")
    check.expect(not wrong, f"a price older than an hour: {', '.join(wrong)}")
    check.saw(f"65 min old: {answer.status_code} {body(answer).get('code')}")


def expect_fresh(context: CheckContext, check: Check, http: StagingClient) -> None:
    """A fresh price says how long it may be kept, and is revalidated by its tag."""
    path = f"/prices/{context.symbols()[0]}"
    answer = http.get(path)
    if body(answer).get("data", {}).get("stale"):
        context.until(lambda: not body(http.get(path))["data"]["stale"], context.patience.fetch)
        answer = http.get(path)
    if answer.status_code != 200 or body(answer)["data"]["stale"]:
        check.could_not(f"GET {path} gave no fresh price to look at ({answer.status_code})")
        return
    control, age, etag = (answer.headers.get(name, "") for name in ("cache-control", "age", "etag"))
    check.expect(f"max-age={_FRESH.seconds}" in control, f"fresh: Cache-Control is {control!r}")
    check.expect(_is_age(answer, age), f"fresh: Age is {age!r}, not the price's age")
    is_strong = etag.startswith('"') and etag.endswith('"')
    check.expect(is_strong, f"fresh: ETag {etag!r} is not a strong one")
    check.saw(f"fresh: {control}, Age {age}")
    again = http.get(path, headers={"If-None-Match": etag})
    # a new price in between has another tag, and is no mistake
    is_same = again.headers.get("etag") == etag
    check.expect(again.status_code == (304 if is_same else 200), "a known ETag got no 304")
    check.expect(again.status_code != 304 or not again.content, "the 304 has a body")
    check.saw(f"its ETag: {again.status_code}")
    other = http.get(path, headers={"If-None-Match": '"another"'}).status_code
    check.expect(other == 200, f"another ETag got {other}")


def _expect_stale(check: Check, answer: httpx.Response) -> None:
    data = body(answer).get("data", {})
    control, age = answer.headers.get("cache-control", ""), answer.headers.get("age", "")
    check.expect(answer.status_code == 200, f"a stale price got {answer.status_code}")
    check.expect(data.get("stale") is True, f"stale: `stale` is {data.get('stale')}")
    check.expect("max-age=0" in control, f"stale: Cache-Control is {control!r}")
    check.expect(_is_age(answer, age), f"stale: Age is {age!r}, not the price's age")
    check.saw(f"10 min old: stale, {control}, Age {age}")


def _is_age(answer: httpx.Response, age: str) -> bool:
    made = moment(body(answer).get("data", {}).get("lastUpdated"))
    if made is None or not age.isdigit():
        return False
    seconds = (datetime.now(UTC) - made).total_seconds()
    return abs(int(age) - seconds) <= _AGE_TOLERANCE_SECONDS


@contextmanager
def _price_made(context: CheckContext, prefix: str, age: timedelta) -> Iterator[str]:
    """The symbol of a price so old that stands in staging's table for as long as it is needed.

    Nobody else asks for it: the symbol ends in chance. What it holds is what the fetcher would
    write (`Quote.item` in api_lambda/fetcher/quotes.py).
    """
    letters = string.ascii_uppercase + string.digits
    symbol = prefix + "".join(secrets.choice(letters) for _ in range(7))
    now = datetime.now(UTC)
    key = {"PK": {"S": f"PRICE#{symbol}"}, "SK": {"S": "METADATA"}}
    dynamodb, table = context.aws.dynamodb, context.order.table
    try:
        dynamodb.put_item(
            TableName=table,
            Item=key
            | {
                "symbol": {"S": symbol},
                "name": {"S": "made by the release's checks"},
                "price": {"N": "1.25"},
                "change24h": {"N": "0.5"},
                "marketCap": {"N": "1000"},
                "lastUpdated": {"S": (now - age).strftime("%Y-%m-%dT%H:%M:%SZ")},
                "ttl": {"N": str(int((now + _LEFT_OVER).timestamp()))},
            },
        )
        yield symbol
    finally:
        dynamodb.delete_item(TableName=table, Key=key)

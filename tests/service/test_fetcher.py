"""The fetcher, against a real HTTP listener as feed and DynamoDB over HTTP."""

import email.utils
import json
import re
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.service_parts import (
    HANG_UP,
    ROOT,
    Client,
    Listener,
    Reply,
    put_key,
    put_price,
    settings_of,
)

HTTP = httpx.Client()  # one for all: each would read the system's certificates anew


def quote(**fields: Any) -> dict[str, Any]:
    return {
        "usd": 97123.456,
        "usd_market_cap": 1923456789012.5,
        "usd_24h_change": -1.25,
        "last_updated_at": int(time.time()) - 5,
        **fields,
    }


def feed_of(**quotes: Any) -> Reply:
    return Reply(200, json.dumps(quotes).encode())


def fetcher_of(
    lambda_: SimpleNamespace, listener: Listener, table: Any, symbols: str = "BTC,ETH"
) -> Any:
    config = lambda_.config.Config.from_environment(
        {
            "TABLE_NAME": table.name,
            "PRICE_FEED_URL": f"{listener.url}/api/v3/",
            "SYMBOLS": symbols,
            "COINGECKO_API_KEY": "CG-secret",
            "AWS_LAMBDA_FUNCTION_NAME": "crypto-watch-fetcher-staging",
            "AWS_LAMBDA_FUNCTION_VERSION": "3",
        }
    )
    return lambda_.app.Fetcher(config, table, HTTP, lambda_.app._logger())


def standing(table: Any, symbol: str) -> dict[str, Any]:
    item: dict[str, Any] = table.get_item(Key={"PK": f"PRICE#{symbol}", "SK": "METADATA"}).get(
        "Item", {}
    )
    return item


def test_prices_are_stored_as_the_api_reads_them(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any
) -> None:
    """The feed's numbers stand in the table as decimals, with the coin's name and its own time."""
    made = int(time.time()) - 30
    listener.replies = [feed_of(bitcoin=quote(last_updated_at=made), ethereum=quote())]

    result = fetcher_of(fetcher_lambda, listener, table).run({}, None)

    assert (result["status"], result["updated"]) == ("ok", ["BTC", "ETH"])
    assert standing(table, "BTC") == {
        "PK": "PRICE#BTC",
        "SK": "METADATA",
        "symbol": "BTC",
        "name": "Bitcoin",
        "price": Decimal("97123.456"),
        "change24h": Decimal("-1.25"),
        "marketCap": Decimal("1923456789012.5"),
        "lastUpdated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made)),
    }


def test_feed_is_asked_in_coingeckos_words(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any
) -> None:
    """One request for all coins, with the key in its header."""
    listener.replies = [feed_of(bitcoin=quote(), ethereum=quote())]
    fetcher_of(fetcher_lambda, listener, table).run({}, None)

    (request,) = listener.requests
    url = urlsplit(request.path)
    assert url.path == "/api/v3/simple/price"
    assert parse_qs(url.query) == {
        "ids": ["bitcoin,ethereum"],
        "vs_currencies": ["usd"],
        "include_market_cap": ["true"],
        "include_24hr_change": ["true"],
        "include_last_updated_at": ["true"],
    }
    assert request.headers["x-cg-demo-api-key"] == "CG-secret"


BAD_FIELDS: list[dict[str, Any]] = [
    {"usd": 0},
    {"usd": -1},
    {"usd": None},
    {"usd": "97"},
    {"usd": True},
    {"usd": float("nan")},
    {"usd": float("inf")},
    {"usd": 1e300},
    {"usd": 1e-300},
    {"usd_24h_change": None},
    {"usd_market_cap": -1},
    {"last_updated_at": 0},
    {"last_updated_at": 99_999_999_999},
    {"last_updated_at": None},
    {"last_updated_at": 1_735_689_600},  # a time of years ago
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=str)
def test_one_bad_coin_does_not_lose_the_others(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any, fields: dict[str, Any]
) -> None:
    """Nothing of a bad coin is written, its reason is told, and the other coin is updated."""
    listener.replies = [feed_of(bitcoin=quote(**fields), ethereum=quote())]

    result = fetcher_of(fetcher_lambda, listener, table).run({}, None)

    assert result["updated"] == ["ETH"]
    assert next(iter(fields)) in result["refused"]["BTC"]
    assert standing(table, "BTC") == {}


def test_missing_and_unknown_coins_are_told(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any
) -> None:
    """A coin the feed leaves out, or that we do not know, is refused by name."""
    listener.replies = [feed_of(ethereum=quote())]

    result = fetcher_of(fetcher_lambda, listener, table, "BTC, eth,WHAT").run({}, None)

    assert result["updated"] == ["ETH"]
    assert set(result["refused"]) == {"BTC", "WHAT"}


@pytest.mark.parametrize("older_by", [0, 60])
def test_newer_price_is_not_overwritten(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any, older_by: int
) -> None:
    """A quote as old as what stands, or older, changes nothing."""
    put_price(table, "BTC", age=60)
    before = standing(table, "BTC")
    listener.replies = [feed_of(bitcoin=quote(last_updated_at=int(time.time()) - 61 - older_by))]

    result = fetcher_of(fetcher_lambda, listener, table, "BTC").run({}, None)

    assert (result["updated"], result["kept"]) == ([], ["BTC"])
    assert standing(table, "BTC") == before


def test_dry_run_tells_and_writes_nothing(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any
) -> None:
    """A dry run says what would be updated and what would be kept."""
    put_price(table, "ETH")
    listener.replies = [feed_of(bitcoin=quote(), ethereum=quote(last_updated_at=time.time() - 60))]

    result = fetcher_of(fetcher_lambda, listener, table).run({"dryRun": True}, None)

    assert (result["dryRun"], result["updated"], result["kept"]) == (True, ["BTC"], ["ETH"])
    assert standing(table, "BTC") == {}


@pytest.mark.parametrize(
    "reply", [Reply(404), Reply(401), Reply(200, b"[]"), Reply(200, b"{}"), Reply(302)]
)
def test_failed_fetch_keeps_the_old_prices(
    fetcher_lambda: SimpleNamespace,
    listener: Listener,
    table: Any,
    reply: Reply,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A feed without any usable price: nothing changes, one try, and the failure is counted."""
    put_price(table, "BTC")
    before = standing(table, "BTC")
    listener.replies = [reply]

    result = fetcher_of(fetcher_lambda, listener, table).run({}, None)

    line = json.loads(capsys.readouterr().out)
    assert result["status"] == "failed"
    assert standing(table, "BTC") == before
    assert len(listener.requests) == 1
    assert (line["level"], line["FetchFailures"], line["PricesUpdated"]) == ("error", 1, 0)


def test_line_is_the_metrics_and_has_no_secret(
    fetcher_lambda: SimpleNamespace,
    listener: Listener,
    table: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One JSON line a run with the embedded metrics, without the feed's key."""
    listener.replies = [feed_of(bitcoin=quote(), ethereum=quote())]
    fetcher = fetcher_of(fetcher_lambda, listener, table)
    fetcher.run({}, SimpleNamespace(aws_request_id="abc"))

    out = capsys.readouterr().out

    line = json.loads(out)
    metrics = line["_aws"]["CloudWatchMetrics"][0]
    assert metrics["Namespace"] == "CryptoWatch"
    assert metrics["Dimensions"] == [["FunctionName", "ExecutedVersion"]]
    assert {m["Name"]: line[m["Name"]] for m in metrics["Metrics"]} == {
        "PricesUpdated": 2,
        "FetchFailures": 0,
    }
    assert (line["requestId"], line["functionVersion"]) == ("abc", "3")
    assert "CG-secret" not in out + repr(fetcher._config)


def fetch(lambda_: SimpleNamespace, listener: Listener, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    with httpx.Client() as client:
        return lambda_.feed.fetch(client, listener.url, ["bitcoin"], "", deadline, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "failure", [Reply(500), Reply(503), Reply(429), HANG_UP, Reply(200, b"<html>")]
)
def test_passing_failure_is_tried_again(
    fetcher_lambda: SimpleNamespace, listener: Listener, failure: Reply
) -> None:
    """Server errors, 429, broken connections and half answers: three more tries."""
    listener.replies = [failure, failure, failure, feed_of(bitcoin={})]

    assert fetch(fetcher_lambda, listener) == {"bitcoin": {}}


def test_three_retries_are_the_most(fetcher_lambda: SimpleNamespace, listener: Listener) -> None:
    """The fourth failure is the last, and the pauses are 1, 2 and 4 seconds."""
    listener.replies = [Reply(500)]

    with pytest.raises(fetcher_lambda.feed.FeedError, match="HTTP 500"):
        fetch(fetcher_lambda, listener)
    assert len(listener.requests) == 4
    assert fetcher_lambda.feed.PAUSES_SECONDS == (1, 2, 4)


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured(
    fetcher_lambda: SimpleNamespace, listener: Listener, kind: str
) -> None:
    """The next try comes no sooner than the feed asks, in either form of the header."""
    wait = {"seconds": "1", "date": email.utils.formatdate(time.time() + 2, usegmt=True)}[kind]
    listener.replies = [Reply(429, b"", (("retry-after", wait),)), feed_of(bitcoin={})]
    started = time.monotonic()

    fetch(fetcher_lambda, listener)

    assert time.monotonic() - started > 0.9


def test_retry_after_beyond_the_time_left_gives_up_at_once(
    fetcher_lambda: SimpleNamespace, listener: Listener
) -> None:
    """A wait that would outlast the function is not begun."""
    listener.replies = [Reply(429, b"", (("retry-after", "3600"),))]
    started = time.monotonic()

    with pytest.raises(fetcher_lambda.feed.FeedError, match="no time"):
        fetch(fetcher_lambda, listener)
    assert time.monotonic() - started < 2
    assert len(listener.requests) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.decimals() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = ["usd", "usd_market_cap", "usd_24h_change", "last_updated_at"]


@settings(max_examples=300, deadline=None)
@given(fields=st.dictionaries(st.sampled_from(FIELDS), anything) | anything)
def test_any_answer_is_a_sound_quote_or_refused(
    fetcher_lambda: SimpleNamespace, fields: Any
) -> None:
    """Whatever the feed says of a coin: a storable quote, or the one error for bad quotes."""
    coin = fetcher_lambda.coins.COINS["BTC"]
    try:
        read = fetcher_lambda.quotes.read_quote(coin, {"bitcoin": fields}, time.time())
    except fetcher_lambda.quotes.BadQuoteError:
        return
    assert 0 < read.price < Decimal("1e19")
    assert read.market_cap >= 0
    assert read.change_24h.is_finite()
    assert all(len(n.as_tuple().digits) <= 38 for n in (read.price, read.market_cap))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", read.item()["lastUpdated"])


def test_api_serves_what_the_fetcher_stored(
    fetcher_lambda: SimpleNamespace,
    price_lambda: SimpleNamespace,
    listener: Listener,
    endpoint: str,
    table: Any,
) -> None:
    """The two lambdas agree on the table: fetched here, served there, rounded as promised."""
    put_key(table)
    listener.replies = [feed_of(bitcoin=quote(), ethereum=quote(usd=1.5e-7))]
    fetcher_of(fetcher_lambda, listener, table).run({}, None)
    api = price_lambda.app.PriceApi(settings_of(price_lambda, endpoint, table.name))

    body = Client(api.handle).send("/prices", "symbols=BTC,ETH").body

    assert '"name":"Bitcoin","price":97123.46,"change24h":-1.2,"marketCap":1923456789012,' in body
    assert '"price":0.00000015,' in body


def test_requirements_are_pinned_by_hash() -> None:
    """What is vendored is named to the byte."""
    text = (ROOT / "api_lambda/fetcher/requirements.txt").read_text()
    packages = re.findall(r"^[a-z0-9-]+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text, re.M)
    assert len(packages) == len(re.findall(r"^[a-z]", text, re.M)) >= 3

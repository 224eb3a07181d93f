"""A feed that misbehaves, in every way seen: no stored price is lost, and the log says why."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.service.service_parts import Listener, Reply, put_price
from tests.service.test_fetcher import feed_of, fetcher_of, quote, standing

# What Lambda would say with 6 s of the function's time left: one of them is for the feed.
HURRY = SimpleNamespace(aws_request_id="abc", get_remaining_time_in_millis=lambda: 6000)

BAD_FEEDS = {
    "429 with Retry-After": (Reply(429, b"", (("retry-after", "60"),)), "HTTP 429"),
    "429 without": (Reply(429), "HTTP 429"),
    "500": (Reply(500, b"oops"), "HTTP 500"),
    "HTML": (Reply(200, b"<!DOCTYPE html><p>Sorry</p>"), "not JSON"),
    "cut JSON": (Reply(200, b'{"bitcoin":{"usd":9'), "not JSON"),
    "deep JSON": (Reply(200, b"[" * 100_000), "not JSON"),
    "too large": (Reply(200, b" " * 1_100_000), "too large"),
    "NaN": (feed_of(bitcoin=quote(usd=float("nan"))), "usd is not a finite number"),
    "negative": (feed_of(bitcoin=quote(usd=-1)), "usd is not positive"),
    "a year old": (feed_of(bitcoin=quote(last_updated_at=time.time() - 31_536_000)), "s ago"),
    "of no coin": (Reply(200, b"{}"), "missing from the answer"),
}


@pytest.mark.parametrize(("reply", "reason"), BAD_FEEDS.values(), ids=BAD_FEEDS.keys())
def test_bad_feed_keeps_the_stored_price(
    fetcher_lambda: SimpleNamespace,
    listener: Listener,
    table: Any,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
    reason: str,
) -> None:
    """The price that stands goes on standing, and the one log line has the reason."""
    put_price(table, "BTC", age=120)
    before = standing(table, "BTC")
    listener.replies = [reply]

    result = fetcher_of(fetcher_lambda, listener, table, "BTC").run({}, HURRY)

    line = json.loads(capsys.readouterr().out)
    assert (result["status"], line["FetchFailures"]) == ("failed", 1)
    assert reason in line["error"]
    assert standing(table, "BTC") == before


def test_half_of_the_coins_are_half_updated(
    fetcher_lambda: SimpleNamespace, listener: Listener, table: Any
) -> None:
    """Coins that came are stored; those that did not keep their price and are told by name."""
    for symbol in ("BTC", "ETH", "SOL", "XRP"):
        put_price(table, symbol, age=120)
    before = {symbol: standing(table, symbol) for symbol in ("SOL", "XRP")}
    listener.replies = [feed_of(bitcoin=quote(), ethereum=quote())]

    result = fetcher_of(fetcher_lambda, listener, table, "BTC,ETH,SOL,XRP").run({}, None)

    assert (result["status"], result["updated"]) == ("ok", ["BTC", "ETH"])
    assert set(result["refused"]) == {"SOL", "XRP"}
    assert {symbol: standing(table, symbol) for symbol in ("SOL", "XRP")} == before


@contextmanager
def slow_feed(first: bytes, drip: bytes = b"") -> Iterator[str]:
    """A feed that says `first` and then nothing, or `drip` ten times a second, until the end."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.sendall(first)
                while not over.wait(0.1):
                    try:
                        connection.sendall(drip)
                    except OSError:
                        break

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"", b""), (HEAD, b""), (HEAD, b" ")],
    ids=["silent", "stalled", "dripping"],
)
def test_stalling_feed_costs_no_more_than_its_time(
    fetcher_lambda: SimpleNamespace, table: Any, first: bytes, drip: bytes
) -> None:
    """A feed that would take 30 s is given up when the time for it is over, price kept."""
    put_price(table, "BTC", age=120)
    before = standing(table, "BTC")
    with slow_feed(first, drip) as url:
        started = time.monotonic()

        result = fetcher_of(fetcher_lambda, SimpleNamespace(url=url), table, "BTC").run({}, HURRY)

        assert time.monotonic() - started < 4
    assert result["status"] == "failed"
    assert standing(table, "BTC") == before

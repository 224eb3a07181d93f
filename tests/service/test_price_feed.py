"""The laptop's price feed, as its own process, read by the real fetcher."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.service.service_parts import ROOT, wait_for_port

ASK = {
    "vs_currencies": "usd",
    "include_market_cap": "true",
    "include_24hr_change": "true",
    "include_last_updated_at": "true",
}


@pytest.fixture(scope="module")
def feed() -> Iterator[httpx.Client]:
    """A client of the running feed, which ends within 3 seconds when told to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "infra.local.price_feed", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for_port(port, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        process.terminate()
        process.wait(3)
    finally:
        process.kill()
        process.wait()


def test_feed_is_ready(feed: httpx.Client) -> None:
    """GET /_ready answers 200."""
    assert feed.get("/_ready").status_code == 200


def test_feed_moves(feed: httpx.Client) -> None:
    """Prices change as time passes and stay near the real ones."""
    seen: set[float] = set()
    deadline = time.monotonic() + 5
    while len(seen) < 3 and time.monotonic() < deadline:
        prices = feed.get("/api/v3/simple/price", params={**ASK, "ids": "bitcoin"}).json()
        seen.add(prices["bitcoin"]["usd_24h_change"])
        assert 50_000 < prices["bitcoin"]["usd"] < 200_000
    assert len(seen) >= 3


def test_feed_has_every_coin_and_the_fetcher_takes_it(
    feed: httpx.Client, fetcher_lambda: SimpleNamespace
) -> None:
    """Each coin of the fetcher's table has a quote that the fetcher finds sound."""
    coins: dict[str, Any] = fetcher_lambda.coins.COINS
    ids = ",".join(coin.id for coin in coins.values())

    text = feed.get("/api/v3/simple/price", params={**ASK, "ids": ids}).text

    answer = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    for coin in coins.values():
        assert fetcher_lambda.quotes.read_quote(coin, answer, time.time()).price > 0


def test_feed_gives_only_what_is_asked_for(feed: httpx.Client) -> None:
    """As CoinGecko: unknown coins are left out, extra fields come on request."""
    query = {"ids": "bitcoin,nothing", "vs_currencies": "usd"}
    prices = feed.get("/api/v3/simple/price", params=query).json()
    assert list(prices) == ["bitcoin"]
    assert list(prices["bitcoin"]) == ["usd"]


@pytest.mark.parametrize(("path", "status"), [("/api/v3/simple/price", 422), ("/other", 404)])
def test_feed_refuses_other_requests(feed: httpx.Client, path: str, status: int) -> None:
    """No coins asked for: 422; another path: 404."""
    assert feed.get(path).status_code == status

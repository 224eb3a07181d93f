"""The laptop's price feed: CoinGecko v3's `/simple/price` with prices that walk at random.

Run by `python -m infra.local.price_feed --port P`; its base URL is `http://127.0.0.1:P/api/v3`.
No run is like another: a test that needs a certain price serves it itself.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DAY_SECONDS = 86_400.0
# A coin's standard deviation over one day, as a fraction of its price.
DAILY_VOLATILITY = 0.04


class Market(NamedTuple):
    """A coin's usual price in US dollars, and how many of it there are."""

    price: float
    supply: float


MARKETS = {
    "bitcoin": Market(97_000, 19.9e6),
    "ethereum": Market(3_400, 120.5e6),
    "solana": Market(190, 490e6),
    "ripple": Market(2.3, 57.5e9),
    "cardano": Market(0.9, 35.2e9),
    "dogecoin": Market(0.32, 147.5e9),
    "tron": Market(0.25, 86.2e9),
    "filecoin": Market(5.1, 615e6),
    "chainlink": Market(21, 638e6),
    "litecoin": Market(103, 75.4e6),
    "binancecoin": Market(700, 144e6),
    "polkadot": Market(6.7, 1.54e9),
    "shiba-inu": Market(0.0000213, 589e12),
}


class Walk:
    """One coin's price; it moves with the time that passes between two looks."""

    def __init__(self, market: Market, now: float) -> None:
        self._market = market
        self._yesterday = market.price * _step(DAY_SECONDS)
        self._price = market.price
        self._seen_at = now

    def quote(self, now: float) -> dict[str, float]:
        """The coin's fields in CoinGecko's answer."""
        self._price *= _step(max(0.0, now - self._seen_at))
        self._seen_at = now
        return {
            "usd": float(f"{self._price:.6g}"),
            "usd_market_cap": self._price * self._market.supply,
            "usd_24h_change": (self._price / self._yesterday - 1) * 100,
            "last_updated_at": int(now),
        }


def _step(seconds: float) -> float:
    deviation = DAILY_VOLATILITY * math.sqrt(seconds / DAY_SECONDS)
    return math.exp(random.gauss(0, deviation))


class PriceFeed:
    """The ASGI application."""

    def __init__(self) -> None:
        now = time.time()
        self._walks = {coin: Walk(market, now) for coin, market in MARKETS.items()}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            status, body = self._answer(scope["path"], scope["query_string"].decode("latin-1"))
            await _reply(send, status, body)

    def _answer(self, path: str, query: str) -> tuple[int, dict[str, Any]]:
        if path == "/_ready":
            return 200, {"status": "ready"}
        if path != "/api/v3/simple/price":
            return 404, {"error": "not found"}
        asked = parse_qs(query)
        if "ids" not in asked or asked.get("vs_currencies") != ["usd"]:
            return 422, {"error": "ids and vs_currencies=usd are needed"}
        return 200, self._prices(asked)

    def _prices(self, asked: dict[str, list[str]]) -> dict[str, Any]:
        """The coins asked for and known; like CoinGecko, silent about the others."""
        fields = {
            "usd": True,
            "usd_market_cap": asked.get("include_market_cap") == ["true"],
            "usd_24h_change": asked.get("include_24hr_change") == ["true"],
            "last_updated_at": asked.get("include_last_updated_at") == ["true"],
        }
        now = time.time()
        quotes = {coin: self._walks[coin].quote(now) for coin in _known(asked["ids"][0])}
        return {
            coin: {name: value for name, value in quote.items() if fields[name]}
            for coin, quote in quotes.items()
        }


def _known(ids: str) -> list[str]:
    return [coin for coin in dict.fromkeys(ids.split(",")) if coin in MARKETS]


async def _live(receive: Receive, send: Send) -> None:
    for _ in range(2):  # startup, then shutdown
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


async def _reply(send: Send, status: int, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def main() -> None:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.price_feed")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(
        PriceFeed(),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()

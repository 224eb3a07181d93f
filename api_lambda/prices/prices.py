"""Prices: how they are written in an answer, how old they may be, and where they are kept."""

import json
import time
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

from answers import rfc3339
from dynamodb import BRIEF, PATIENT, DynamoDB, DynamoDBError, Item, Patience, UnavailableError

FRESH_SECONDS = 5 * 60
OLDEST_SECONDS = 60 * 60
REFRESH_SECONDS = 5.0
TINY_PRICE_DIGITS = 4
BATCH_LIMIT = 100  # keys in one BatchGetItem

# DynamoDB numbers reach 10^125: enough digits to quantize every one of them.
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)


class Price(NamedTuple):
    """One coin as the fetcher stored it; US dollars, percent, epoch seconds."""

    symbol: str
    name: str
    price: Decimal
    change_24h: Decimal
    market_cap: Decimal
    last_updated: float

    @classmethod
    def from_item(cls, item: Item) -> "Price":
        """Raises KeyError, ValueError or ArithmeticError when the item is not a price."""
        return cls(
            item["symbol"]["S"],
            item["name"]["S"],
            Decimal(item["price"]["N"]),
            Decimal(item["change24h"]["N"]),
            Decimal(item["marketCap"]["N"]),
            datetime.fromisoformat(item["lastUpdated"]["S"]).timestamp(),
        )

    def age(self, now: float) -> float:
        """Seconds since the price was made; 0 for one from a clock ahead of ours."""
        return max(0.0, now - self.last_updated)

    def is_stale(self, now: float) -> bool:
        """Whether the price is five minutes old or older."""
        return self.age(now) >= FRESH_SECONDS

    def is_too_old(self, now: float) -> bool:
        """Whether the price is older than an hour, which is not served."""
        return self.age(now) > OLDEST_SECONDS

    def to_json(self, now: float) -> str:
        """The item of an answer. Numbers are decimal text: no float ever touches them."""
        return (
            f'{{"symbol":{json.dumps(self.symbol)},"name":{json.dumps(self.name)},'
            f'"price":{format_price(self.price)},"change24h":{format_change(self.change_24h)},'
            f'"marketCap":{_rounded(self.market_cap, 0)},'
            f'"lastUpdated":"{rfc3339(self.last_updated)}",'
            f'"stale":{"true" if self.is_stale(now) else "false"}}}'
        )


def format_price(price: Decimal) -> str:
    """Two decimals; a price that would read 0.00 keeps four significant digits instead."""
    text = _rounded(price, 2)
    if price > 0 and not Decimal(text):
        tiny = Context(prec=TINY_PRICE_DIGITS, rounding=ROUND_HALF_EVEN).plus(price)
        return f"{_EXACT.normalize(tiny):f}"
    return text


def format_change(percent: Decimal) -> str:
    """One decimal, never a negative zero."""
    text = _rounded(percent, 1)
    return text if Decimal(text) else "0.0"


def _rounded(number: Decimal, places: int) -> str:
    return f"{_EXACT.quantize(number, Decimal(1).scaleb(-places)):f}"


class Snapshot:
    """The prices this execution environment last read, read again after five seconds.

    Every symbol once found is read along, so that one BatchGetItem serves all requests until the
    next. While DynamoDB is down, what was read last is served with its true age.
    """

    def __init__(
        self, store: DynamoDB, table: str, refresh_seconds: float = REFRESH_SECONDS
    ) -> None:
        self._store = store
        self._table = table
        self._refresh_seconds = refresh_seconds
        self._prices: dict[str, Price | None] = {}
        self._asked: set[str] = set()
        self._tried_at = float("-inf")
        self._read_at = float("-inf")
        self._failure: Exception | None = None

    def get(self, symbols: list[str]) -> dict[str, Price | None]:
        """What stands for each symbol that the table has; None where it is unreadable.

        Raises UnavailableError when DynamoDB is down and a symbol was never read here.
        """
        held = all(symbol in self._prices for symbol in symbols)
        recent = time.monotonic() - self._tried_at < self._refresh_seconds
        if not recent:
            self._asked = set()
            self._read(symbols, [*self._prices], BRIEF if held else PATIENT, held)
        elif not held and not self._asked.issuperset(symbols):
            self._read([symbol for symbol in symbols if symbol not in self._asked], [], PATIENT)
        return {symbol: self._prices[symbol] for symbol in symbols if symbol in self._prices}

    def check(self, symbols: list[str]) -> Exception | None:
        """Why DynamoDB did not answer when last asked, at most five seconds ago; None if it did."""
        if time.monotonic() - self._tried_at >= self._refresh_seconds:
            self._asked = set()
            self._read(symbols, [*self._prices], BRIEF, may_fail=True)
        return self._failure

    def newest(self) -> float | None:
        """When the newest price held was made; None when none is held."""
        return max((price.last_updated for price in self._prices.values() if price), default=None)

    def age(self) -> float | None:
        """Seconds since DynamoDB last answered; None when it never did."""
        return None if self._read_at == float("-inf") else time.monotonic() - self._read_at

    def _read(
        self, wanted: list[str], along: list[str], patience: Patience, may_fail: bool = False
    ) -> None:
        symbols = list(dict.fromkeys([*wanted, *along]))[:BATCH_LIMIT]
        try:
            items = self._batch_get(symbols, patience)
        except (UnavailableError, DynamoDBError) as error:
            self._tried_at, self._failure = time.monotonic(), error
            if not may_fail:
                raise
            return
        self._tried_at = self._read_at = time.monotonic()
        self._failure = None
        self._asked.update(symbols)
        for symbol in symbols:
            self._prices.pop(symbol, None)
        self._prices.update((_symbol_of(item), _readable(item)) for item in items)

    def _batch_get(self, symbols: list[str], patience: Patience) -> list[Item]:
        keys = [{"PK": {"S": f"PRICE#{symbol}"}, "SK": {"S": "METADATA"}} for symbol in symbols]
        request: dict[str, Any] = {self._table: {"Keys": keys}}
        items: list[Item] = []
        for _ in range(PATIENT.retries + 1):
            answer = self._store.call("BatchGetItem", {"RequestItems": request}, patience)
            items += answer["Responses"].get(self._table, [])
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                return items
        raise UnavailableError("BatchGetItem: keys stayed unprocessed")


def _symbol_of(item: Item) -> str:
    return str(item["PK"]["S"]).removeprefix("PRICE#")


def _readable(item: Item) -> Price | None:
    try:
        price = Price.from_item(item)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    numbers = (price.price, price.change_24h, price.market_cap)
    return price if all(number.is_finite() for number in numbers) else None

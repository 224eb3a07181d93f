"""Quotes: what the feed says of one coin, checked before it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from coins import Coin

# Beyond these a number is a mistake of the feed's, and DynamoDB would refuse some of them.
SMALLEST, LARGEST = Decimal("1e-20"), Decimal("1e18")
# DynamoDB keeps 38 digits and refuses more; no quote means more than these.
_DIGITS = Context(prec=20)
# A time too far ahead would keep every later quote out, for only newer ones are written.
MAX_CLOCK_SKEW_SECONDS = 120
# Nothing older is ever served: storing it would only hide that the feed has stopped.
OLDEST_SECONDS = 3600


class BadQuoteError(ValueError):
    """The feed's fields of one coin cannot be stored; the text says why."""


@dataclass(frozen=True)
class Quote:
    """One coin's price, ready to be stored; US dollars and percent."""

    coin: Coin
    price: Decimal
    change_24h: Decimal
    market_cap: Decimal
    last_updated: datetime

    def item(self) -> dict[str, Any]:
        """The table's item."""
        return {
            "PK": f"PRICE#{self.coin.symbol}",
            "SK": "METADATA",
            "symbol": self.coin.symbol,
            "name": self.coin.name,
            "price": self.price,
            "change24h": self.change_24h,
            "marketCap": self.market_cap,
            "lastUpdated": self.last_updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def read_quote(coin: Coin, feed: Mapping[str, Any], now: float) -> Quote:
    """The coin's quote in the feed's answer. Raises BadQuoteError; nothing is guessed."""
    fields = feed.get(coin.id)
    if not isinstance(fields, dict):
        raise BadQuoteError("missing from the answer")
    price = _number(fields, "usd")
    if price <= 0:
        raise BadQuoteError("usd is not positive")
    market_cap = _number(fields, "usd_market_cap")
    if market_cap < 0:
        raise BadQuoteError("usd_market_cap is negative")
    updated = _number(fields, "last_updated_at")
    if not 0 < updated <= now + MAX_CLOCK_SKEW_SECONDS:
        raise BadQuoteError("last_updated_at is not a past time")
    if updated < now - OLDEST_SECONDS:
        raise BadQuoteError(f"last_updated_at is {int(now - float(updated))} s ago")
    moment = datetime.fromtimestamp(int(updated), UTC)
    return Quote(coin, price, _number(fields, "usd_24h_change"), market_cap, moment)


def _number(fields: Mapping[str, Any], name: str) -> Decimal:
    value = fields.get(name)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise BadQuoteError(f"{name} is not a finite number")
    if value and not SMALLEST <= abs(value) <= LARGEST:
        raise BadQuoteError(f"{name} is out of range")
    return _DIGITS.plus(value)

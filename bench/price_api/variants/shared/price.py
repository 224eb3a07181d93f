"""One coin's item as an answer shows it."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_TINY = Context(prec=4, rounding=ROUND_HALF_EVEN)


def price_of(item: dict[str, Any], now: float) -> dict[str, Any] | None:
    """The price, rounded in decimal; None when it is older than an hour."""
    age = now - datetime.fromisoformat(item["lastUpdated"]["S"]).timestamp()
    if age > 3600:
        return None
    price = Decimal(item["price"]["N"])
    rounded = _round(price, 2)
    return {
        "symbol": item["symbol"]["S"],
        "name": item["name"]["S"],
        "price": float(rounded or _TINY.plus(price)),
        "change24h": float(_round(Decimal(item["change24h"]["N"]), 1)),
        "marketCap": int(_round(Decimal(item["marketCap"]["N"]), 0)),
        "lastUpdated": item["lastUpdated"]["S"],
        "stale": age >= 300,
    }


def _round(number: Decimal, places: int) -> Decimal:
    return _EXACT.quantize(number, Decimal(1).scaleb(-places))

"""Merging what was fetched into what stands: the newest sound price wins, whatever the order."""

import json
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.service_parts import Listener, Reply
from tests.service.test_fetcher import fetcher_of, standing

IDS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}

# A coin's fields: how many seconds ago it was made (a few are not sound), and its price.
quotes = st.tuples(
    st.one_of(st.integers(1, 60), st.sampled_from([-100_000, 10_000_000])),
    st.one_of(st.integers(1, 10**6), st.sampled_from([0, -5, None, "97", float("nan")])),
)
fetches = st.lists(
    st.dictionaries(st.sampled_from(list(IDS)), quotes, max_size=3), min_size=1, max_size=4
)


def _is_sound(ago: int, price: Any) -> bool:
    return 0 < ago <= 60 and isinstance(price, int) and price > 0


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fetches=fetches)
def test_newest_sound_price_stands(
    fetcher_lambda: SimpleNamespace,
    listener: Listener,
    table: Any,
    fetches: list[dict[str, tuple[int, Any]]],
) -> None:
    """After any fetches, each coin has the newest sound price it was ever given, or none."""
    for symbol in IDS:
        table.delete_item(Key={"PK": f"PRICE#{symbol}", "SK": "METADATA"})
    now = int(time.time())
    expected: dict[str, tuple[int, int]] = {}
    for feed in fetches:
        body = {
            IDS[symbol]: {
                "usd": price,
                "usd_market_cap": 5,
                "usd_24h_change": 1,
                "last_updated_at": now - ago,
            }
            for symbol, (ago, price) in feed.items()
        }
        listener.replies = [Reply(200, json.dumps(body).encode())]

        result = fetcher_of(fetcher_lambda, listener, table, ",".join(IDS)).run({}, None)

        sound = {s: (now - ago, p) for s, (ago, p) in feed.items() if _is_sound(ago, p)}
        newer = {s for s, (made, _) in sound.items() if made > expected.get(s, (0, 0))[0]}
        expected |= {symbol: sound[symbol] for symbol in newer}
        assert set(result["updated"]) == newer
        assert set(result["kept"]) == set(sound) - newer
        assert result["status"] == ("ok" if sound else "failed")

    for symbol in IDS:
        item = standing(table, symbol)
        assert bool(item) == (symbol in expected)
        if item:
            made, price = expected[symbol]
            assert item["price"] == Decimal(price)
            assert item["lastUpdated"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made))

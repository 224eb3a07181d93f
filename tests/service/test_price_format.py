"""How prices are written, and when they count as fresh, stale and too old."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PLENTY = settings(max_examples=300, deadline=None)
stored_prices = st.decimals("1e-20", "1e18", allow_nan=False, places=None)
percents = st.decimals("-1e6", "1e6", allow_nan=False)


def price(lambda_: SimpleNamespace, **fields: Any) -> Any:
    usual = {
        "symbol": "BTC",
        "name": "Bitcoin",
        "price": Decimal(100),
        "change_24h": Decimal(1),
        "market_cap": Decimal(5),
        "last_updated": 1_700_000_000.0,
    }
    return lambda_.prices.Price(**{**usual, **fields})


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("97123.456", "97123.46"),
        ("0.125", "0.12"),
        ("0.135", "0.14"),
        ("2.675", "2.68"),
        ("100", "100.00"),
        ("1E+3", "1000.00"),
        ("0.0051", "0.01"),
        ("0.005", "0.005"),
        ("0.0000123456", "0.00001235"),
        ("1E-8", "0.00000001"),
    ],
)
def test_price_has_two_decimals_rounded_half_even(
    price_lambda: SimpleNamespace, stored: str, written: str
) -> None:
    """A price reads with 2 decimals, and one that would read 0.00 keeps its digits."""
    assert price_lambda.prices.format_price(Decimal(stored)) == written


@pytest.mark.parametrize(
    ("stored", "written"),
    [("1.25", "1.2"), ("-1.35", "-1.4"), ("-0.04", "0.0"), ("0", "0.0"), ("12", "12.0")],
)
def test_change_has_one_decimal(price_lambda: SimpleNamespace, stored: str, written: str) -> None:
    """A change reads with 1 decimal, half to even, never as -0.0."""
    assert price_lambda.prices.format_change(Decimal(stored)) == written


@PLENTY
@given(stored=stored_prices)
def test_written_price_is_the_nearest(price_lambda: SimpleNamespace, stored: Decimal) -> None:
    """Whatever is stored, what is written is positive and as near as its digits allow."""
    written = price_lambda.prices.format_price(stored)
    value = Decimal(written)
    assert value > 0
    assert "E" not in written.upper()
    with localcontext(prec=60):
        if stored > Decimal("0.005"):
            assert len(written.partition(".")[2]) == 2
            assert value == stored.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        else:
            assert abs(value - stored) <= stored * Decimal("0.0005")


@PLENTY
@given(stored=percents)
def test_written_change_is_the_nearest(price_lambda: SimpleNamespace, stored: Decimal) -> None:
    """Whatever is stored, the change is within half a tenth of it."""
    written = price_lambda.prices.format_change(stored)
    assert len(written.partition(".")[2]) == 1
    with localcontext(prec=60):
        assert abs(Decimal(written) - stored) <= Decimal("0.05")


@PLENTY
@given(age=st.integers(-3600, 100_000))
def test_age_decides_between_fresh_stale_and_too_old(
    price_lambda: SimpleNamespace, age: int
) -> None:
    """Fresh is younger than 5 minutes; older than 1 hour is not served; the rest is stale."""
    made = price(price_lambda)
    now = made.last_updated + age
    assert made.is_stale(now) == (age >= 300)
    assert made.is_too_old(now) == (age > 3600)
    assert made.age(now) >= 0

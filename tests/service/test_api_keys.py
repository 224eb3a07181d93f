"""API keys and the rate limit: who is let in, and how often."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from tests.service.service_parts import (
    KEY,
    Client,
    new_table,
    put_key,
    put_price,
    settings_of,
)

NOON = 1_700_000_040.0  # 40 s into a minute that began at a multiple of 60
MINUTE = int(NOON // 60)


@pytest.fixture
def exact_table(ministack_endpoint: str) -> Iterator[Any]:
    """An empty table in a store that loses no concurrent write."""
    table = new_table(ministack_endpoint)
    yield table
    table.delete()


class Door:
    """`auth.Gate` on one table, with a clock of its own; it remembers nothing between knocks."""

    def __init__(self, lambda_: SimpleNamespace, endpoint: str, table: Any) -> None:
        self._lambda = lambda_
        self._table = table
        self._settings = settings_of(lambda_, endpoint, table.name)
        self.store = lambda_.dynamodb.DynamoDB(self._settings)

    def knock(self, now: float = NOON, limit: int = 3, key: str = KEY) -> Any:
        """The quota, or "limited" or "unauthorized"."""
        gate = self._lambda.auth.Gate(self.store, self._table.name, limit)
        try:
            return gate.admit(key, now)
        except self._lambda.auth.RateLimitedError:
            return "limited"
        except self._lambda.answers.ApiError as error:
            return error.code.lower()

    def another(self, endpoint: str) -> "Door":
        """The same door in another execution environment."""
        return Door(self._lambda, endpoint, self._table)


@pytest.fixture
def door(price_lambda: SimpleNamespace, endpoint: str, table: Any) -> Door:
    """The door to an empty table."""
    return Door(price_lambda, endpoint, table)


def test_key_has_its_requests_and_no_more(door: Door, table: Any) -> None:
    """Three requests a minute are three, and the quota counts down to them."""
    put_key(table)

    quotas = [door.knock() for _ in range(3)]

    assert [quota.remaining for quota in quotas] == [2, 1, 0]
    assert [quota.limit for quota in quotas] == [3, 3, 3]
    assert quotas[0].reset_seconds == 60 - int(NOON) % 60
    assert door.knock() == "limited"


def test_next_minute_begins_anew(door: Door, table: Any) -> None:
    """A used-up key works again when the minute is over."""
    put_key(table, rateWindow=MINUTE, rateCount=3)
    assert door.knock() == "limited"

    assert door.knock(now=NOON + 60).remaining == 2


def test_slower_clock_does_not_open_a_new_window(door: Door, table: Any) -> None:
    """A machine whose clock is behind counts in the minute that another has opened."""
    put_key(table, rateWindow=MINUTE + 1, rateCount=2)

    assert door.knock().remaining == 0
    assert door.knock() == "limited"


def test_window_of_nowhere_is_replaced(door: Door, table: Any) -> None:
    """A window far ahead, or without its count, does not lock the key out."""
    put_key(table, rateWindow=MINUTE + 500, rateCount=3)
    assert door.knock().remaining == 2
    put_key(table, rateWindow=MINUTE)
    assert door.knock().remaining == 2


@pytest.mark.parametrize(
    "fields",
    [{"enabled": False}, {"expiresAt": int(NOON)}, {"enabled": False, "rateWindow": MINUTE}],
)
def test_disabled_or_expired_key_is_refused(door: Door, table: Any, fields: dict[str, Any]) -> None:
    """A key is good while it is enabled and before it expires; refused requests are not counted."""
    put_key(table, **fields)

    assert door.knock() == "unauthorized"
    assert "rateCount" not in table.scan()["Items"][0]


def test_key_in_its_grace_period_is_good(door: Door, table: Any) -> None:
    """A rotated key works until the moment it expires."""
    put_key(table, expiresAt=int(NOON) + 1)

    assert door.knock().remaining == 2
    assert door.knock(now=NOON + 1) == "unauthorized"


def test_unknown_key_is_refused_and_leaves_nothing(door: Door, table: Any) -> None:
    """No item is made for a key that nobody was given."""
    assert door.knock() == "unauthorized"
    assert door.knock(key="x" * 100_000) == "unauthorized"
    assert table.scan()["Items"] == []


@pytest.mark.parametrize("standing", [{}, {"rateWindow": MINUTE - 1, "rateCount": 7}])
def test_limit_is_exact_under_concurrency(
    price_lambda: SimpleNamespace,
    ministack_endpoint: str,
    exact_table: Any,
    standing: dict[str, Any],
) -> None:
    """160 requests from 8 machines at once, 100 allowed: exactly 100 pass, each counted once."""
    put_key(exact_table, **standing)
    first = Door(price_lambda, ministack_endpoint, exact_table)

    def machine(_: int) -> list[Any]:
        door = first.another(ministack_endpoint)
        return [door.knock(limit=100) for _ in range(20)]

    with ThreadPoolExecutor(8) as machines:
        outcomes = [outcome for part in machines.map(machine, range(8)) for outcome in part]

    passed = [outcome for outcome in outcomes if outcome != "limited"]
    assert sorted(quota.remaining for quota in passed) == list(range(100))
    assert len(outcomes) == 160


def test_answers_carry_the_quota(client: Client, table: Any) -> None:
    """Every counted answer, a good one or not, says what is left."""
    put_price(table, "BTC")
    # A window one minute ahead keeps the test's requests in one minute.
    put_key(table, rateWindow=int(time.time() // 60) + 1, rateCount=0)

    answers = [client.send("/prices/BTC"), client.send("/prices/NOPE"), client.send("/prices")]

    assert [answer.status for answer in answers] == [200, 404, 400]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["99", "98", "97"]
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"100"}
    assert all(0 < int(answer.headers["ratelimit-reset"]) <= 120 for answer in answers)


def test_used_up_key_gets_429(client: Client, table: Any) -> None:
    """429 says in header and body when to come back."""
    put_key(table, rateWindow=int(time.time() // 60) + 1, rateCount=100)

    answer = client.send("/prices/BTC")

    assert (answer.status, answer.json["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert answer.headers["retry-after"] == str(answer.json["retryAfter"])
    assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]
    assert answer.headers["ratelimit-remaining"] == "0"


@pytest.mark.parametrize("path", ["/prices", "/prices/BTC"])
def test_every_bad_key_gets_the_same_401(client: Client, table: Any, path: str) -> None:
    """Missing, unknown, disabled and expired keys cannot be told apart."""
    put_key(table, "cw_test_disabled_disabled", enabled=False)
    put_key(table, "cw_test_expired_expired_", expiresAt=1)
    keys = ["", " ", "unknown", "é", "cw_test_disabled_disabled", "cw_test_expired_expired_"]

    answers = [client.send(path, "symbols=BTC", key=key) for key in keys]

    assert {answer.status for answer in answers} == {401}
    assert {(answer.json["error"], answer.json["code"]) for answer in answers} == {
        ("A valid API key is required in the X-API-Key header.", "UNAUTHORIZED")
    }


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (KEY, "cw_test_****0123"),
        ("cw_test_short", "****"),
        ("password", "****"),
        ("AKIAIOSFODNN7EXAMPLE", "****"),
    ],
)
def test_mask_shows_no_secret(price_lambda: SimpleNamespace, key: str, shown: str) -> None:
    """Only our own keys show anything, and of them too little to use."""
    assert price_lambda.auth.mask(key) == shown

"""The rate limit as a rule: whatever the times of the requests, the model below is what holds."""

import secrets
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.service_parts import put_key, settings_of

NOON = 1_700_000_040.0

steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5), st.integers(0, 200)),  # seconds since the last request
        st.integers(0, 1),  # which of two execution environments gets it
    ),
    min_size=1,
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(limit=st.integers(1, 4), steps=steps)
def test_each_minute_has_the_limit_and_no_more(
    price_lambda: SimpleNamespace,
    endpoint: str,
    table: Any,
    limit: int,
    steps: list[tuple[int, int]],
) -> None:
    """In every minute the first `limit` requests pass, counting down; all others are refused."""
    key = f"cw_test_{secrets.token_hex(16)}"
    put_key(table, key)
    auth = price_lambda.auth
    gates = [
        auth.Gate(
            price_lambda.dynamodb.DynamoDB(settings_of(price_lambda, endpoint, table.name)),
            table.name,
            limit,
        )
        for _ in range(2)
    ]
    used: dict[int, int] = {}
    now = NOON
    for seconds, gate in steps:
        now += seconds
        minute = int(now // 60)
        if used.get(minute, 0) == limit:
            with pytest.raises(auth.RateLimitedError) as refusal:
                gates[gate].admit(key, now)
            assert refusal.value.quota.remaining == 0
            assert 0 < refusal.value.quota.reset_seconds <= 60
            continue
        quota = gates[gate].admit(key, now)
        used[minute] = used.get(minute, 0) + 1
        assert quota.remaining == limit - used[minute]
        assert now + quota.reset_seconds >= (minute + 1) * 60

"""Whatever invokes the function, the answer is one that API Gateway and a client can read."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.service.service_parts import settings_of

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def event(**fields: Any) -> Any:
    return st.fixed_dictionaries({}, optional=fields) | anything


http = event(method=anything, path=anything)
context = event(http=http, stage=anything, requestId=anything)
paths = st.sampled_from(["/prices", "/prices/BTC", "/health", "/openapi.json"]) | anything
events = event(
    rawPath=paths,
    rawQueryString=st.text() | anything,
    headers=st.dictionaries(
        st.sampled_from(["X-API-Key", "If-None-Match", "Accept-Encoding"]), anything
    )
    | anything,
    requestContext=context,
)


@pytest.fixture(scope="module")
def lonely(price_lambda: SimpleNamespace) -> Any:
    """The API without a store: what it answers it answers by itself."""
    return price_lambda.app.PriceApi(settings_of(price_lambda, "http://127.0.0.1:1", "none"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(sent={})
@example(sent=None)
@example(sent=[])
@example(sent={"requestContext": "x", "headers": ["x"], "rawPath": 7})
@given(sent=events)
def test_every_event_gets_a_readable_answer(lonely: Any, sent: Any) -> None:
    """Events that lack fields or hold nonsense: an answer in the service's form, no exception."""
    answer = json.loads(json.dumps(lonely.handle(sent, None)))

    assert answer["statusCode"] in {200, 204, 304, 401, 404, 405, 503}
    assert all(isinstance(value, str) for value in answer["headers"].values())
    if answer["statusCode"] >= 400 and answer["body"]:
        assert {"error", "code", "timestamp", "requestId"} <= set(json.loads(answer["body"]))
        assert "Traceback" not in answer["body"]

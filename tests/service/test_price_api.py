"""The price API's routes, through the real handler against DynamoDB over HTTP."""

import base64
import gzip
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.service.service_parts import KEY, ROOT, Client, put_key, put_price, settings_of

SYMBOLS = ["BTC", "ETH", "SOL", "XRP", "ADA"]


def test_prices_are_answered_in_the_order_asked(client: Client, table: Any) -> None:
    """Every price asked for, once each, in the order asked, whatever the case."""
    put_price(table, "BTC", price=97123, change24h=-1)
    put_price(table, "ETH")

    answer = client.send("/prices", "symbols=eth,BTC,eth")

    assert answer.status == 200
    assert [item["symbol"] for item in answer.json["data"]] == ["ETH", "BTC"]
    assert '"price":97123.00,"change24h":-1.0,"marketCap":1000000,' in answer.body
    assert answer.json["timestamp"] == max(i["lastUpdated"] for i in answer.json["data"])


def test_one_price_is_the_same_item(client: Client, table: Any) -> None:
    """/prices/BTC has under `data` what /prices has for it."""
    put_price(table, "BTC")

    listed = client.send("/prices", "symbols=BTC").json["data"][0]

    assert client.send("/prices/btc").json["data"] == listed


def test_fresh_price_may_be_kept_for_five_minutes_in_all(client: Client, table: Any) -> None:
    """A fresh answer says how old its oldest price is, and that caches of one user may keep it."""
    put_price(table, "BTC", age=100)

    answer = client.send("/prices/BTC")

    assert answer.json["data"]["stale"] is False
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert 100 <= int(answer.headers["age"]) < 110


def test_stale_price_is_served_and_says_so(client: Client, table: Any) -> None:
    """A price of five minutes is served, marked, and must be asked for again."""
    put_price(table, "BTC", age=300)

    answer = client.send("/prices/BTC")

    assert answer.status == 200
    assert answer.json["data"]["stale"] is True
    assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert int(answer.headers["age"]) >= 300


def test_price_older_than_an_hour_is_not_served(client: Client, table: Any) -> None:
    """One price too old: 503 that names it, and nothing of the others."""
    put_price(table, "BTC", age=3605)
    put_price(table, "ETH")

    answer = client.send("/prices", "symbols=ETH,BTC")

    assert answer.status == 503
    assert answer.json["code"] == "SERVICE_UNAVAILABLE"
    assert answer.json["details"] == {"symbols": ["BTC"]}
    assert int(answer.headers["retry-after"]) > 0


def test_unreadable_item_does_not_spoil_the_others(client: Client, table: Any) -> None:
    """An item that is no price is a 503 for itself only."""
    put_price(table, "BTC", price="not a number")
    put_price(table, "ETH")

    assert client.send("/prices/BTC").status == 503
    assert client.send("/prices/ETH").status == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "symbols=",
        "symbols=,",
        "symbols=BTC,",
        "symbols=B-C",
        "symbols=%C3%9F",
        "other=BTC",
        "symbols=ABCDEFGHIJK",
        "symbols=" + ",".join(f"A{n}" for n in range(51)),
    ],
)
def test_bad_symbols_are_refused(client: Client, query: str) -> None:
    """No symbol, a bad one, or more than 50: 400."""
    answer = client.send("/prices", query)

    assert answer.status == 400
    assert answer.json["code"] == "INVALID_REQUEST"


def test_unknown_symbols_are_named(client: Client, table: Any) -> None:
    """An unknown symbol is a 404 that lists all unknown ones."""
    put_price(table, "BTC")

    answer = client.send("/prices", "symbols=BTC,NOPE,NADA")

    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
    assert answer.json["details"] == {"symbols": ["NOPE", "NADA"]}
    assert client.send("/prices/NOPE").status == 404


@pytest.mark.parametrize("path", ["/", "/nothing", "/prices/", "/prices/BTC/x", "//prices"])
def test_unknown_route_is_not_found(client: Client, path: str) -> None:
    """A path without a route is a 404 in the format of every error."""
    answer = client.send(path)

    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
    assert answer.json["requestId"] == answer.request_id == answer.headers["x-request-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.json["timestamp"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    """405 says which methods there are."""
    answer = client.send("/prices", method=method)

    assert (answer.status, answer.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_options_tells_the_methods_without_a_key(client: Client) -> None:
    """OPTIONS is answered for everyone, without body."""
    answer = client.send("/prices", method="OPTIONS", key="")

    assert (answer.status, answer.body) == (204, "")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_is_get_without_the_body(client: Client, table: Any) -> None:
    """HEAD has GET's status and headers."""
    put_price(table, "BTC")
    got = client.send("/prices/BTC")

    head = client.send("/prices/BTC", method="HEAD")

    assert (head.status, head.body) == (200, "")
    assert head.headers["etag"] == got.headers["etag"]


def test_unchanged_prices_are_not_sent_again(client: Client, table: Any) -> None:
    """The strong ETag of unchanged prices matches: 304, no body, the headers of a 200."""
    put_price(table, "BTC")
    etag = client.send("/prices/BTC").headers["etag"]
    assert re.fullmatch(r'"[^"]+"', etag)

    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = client.send("/prices/BTC", if_none_match=sent)
        assert (answer.status, answer.body) == (304, "")
        assert answer.headers["etag"] == etag
    assert client.send("/prices/BTC", if_none_match='"other"').status == 200


def test_errors_have_no_entity_tag(client: Client) -> None:
    """`If-None-Match: *` turns no error into a 304."""
    answer = client.send("/prices/NOPE", if_none_match="*")

    assert answer.status == 404
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=junk", False),
    ],
)
def test_gzip_for_those_who_accept_it(
    client: Client, table: Any, accepted: str, compressed: bool
) -> None:
    """Five prices come compressed to who accepts gzip, with an ETag of their own."""
    for symbol in SYMBOLS:
        put_price(table, symbol)
    query = f"symbols={','.join(SYMBOLS)}"
    plain = client.send("/prices", query)

    answer = client.send("/prices", query, accept_encoding=accepted)

    assert answer.isBase64Encoded is compressed
    assert answer.headers["vary"] == "Accept-Encoding"
    assert ("content-encoding" in answer.headers) is compressed
    assert (answer.headers["etag"] != plain.headers["etag"]) is compressed
    if compressed:
        assert gzip.decompress(base64.b64decode(answer.body)).decode() == plain.body


def test_small_body_is_not_compressed(client: Client, table: Any) -> None:
    """One price would only grow."""
    put_price(table, "BTC")

    assert "content-encoding" not in client.send("/prices/BTC", accept_encoding="gzip").headers


def test_health_is_healthy_without_a_key(client: Client, table: Any) -> None:
    """/health says what runs and how old the newest price is."""
    put_price(table, "BTC", age=10)

    answer = client.send("/health", key="")

    assert answer.status == 200
    assert answer.json["status"] == "healthy"
    assert answer.json["version"] == "1.2.3"
    assert answer.json["gitSha"] == "a" * 40
    assert answer.json["checks"]["dynamodb"] == "ok"
    assert answer.json["checks"]["cacheAge"] < 5
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("age", [None, 3605])
def test_health_needs_a_price_of_the_last_hour(
    client: Client, table: Any, age: float | None
) -> None:
    """No price, or none younger than an hour: 503 unhealthy."""
    if age is not None:
        put_price(table, "BTC", age=age)

    answer = client.send("/health")

    assert (answer.status, answer.json["status"]) == (503, "unhealthy")
    assert "price" in answer.json["error"]


def test_store_down_is_said_everywhere(price_lambda: SimpleNamespace) -> None:
    """Without DynamoDB: 503 for prices and for health, and no detail of why."""
    settings = settings_of(price_lambda, "http://127.0.0.1:1", "none")
    client = Client(price_lambda.app.PriceApi(settings).handle)

    prices = client.send("/prices/BTC")
    health = client.send("/health")

    assert (prices.status, prices.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert (health.status, health.json["checks"]["dynamodb"]) == (503, "unreachable")
    assert "refused" not in prices.body + health.body


def test_own_mistake_is_a_500_that_tells_nothing(
    price_lambda: SimpleNamespace, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What DynamoDB refuses for good is our mistake: 500; type and stack are in the log only."""
    settings = settings_of(price_lambda, endpoint, "no-such-table")
    client = Client(price_lambda.app.PriceApi(settings).handle)

    answer = client.send("/prices/BTC")

    assert (answer.status, answer.json["code"]) == (500, "INTERNAL_ERROR")
    assert "ResourceNotFound" not in answer.body
    line = json.loads(capsys.readouterr().out)
    assert line["exception"]["type"] == "DynamoDBError"
    assert "Traceback" in line["exception"]["stack"]


def test_openapi_document_names_the_running_version(client: Client) -> None:
    """/openapi.json is the document in the folder with the release's version in it."""
    answer = client.send("/openapi.json", key="")
    written = json.loads((ROOT / "api_lambda/prices/openapi.json").read_text())

    assert answer.json["info"]["version"] == "1.2.3"
    assert answer.json["paths"] == written["paths"]


def test_named_stage_is_not_part_of_the_route(client: Client, table: Any) -> None:
    """Behind a named stage, API Gateway puts the stage before the path."""
    put_price(table, "BTC")
    event = {
        "rawPath": "/dev/prices/BTC",
        "headers": {"X-Api-Key": KEY},
        "requestContext": {"stage": "dev"},
    }

    assert client._handle(event, None)["statusCode"] == 200


def test_every_request_leaves_one_line_that_is_its_metrics(
    client: Client, table: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON line a request: id, masked key, route, status, duration, version, and EMF."""
    put_price(table, "BTC")
    answer = client.send("/prices/BTC")

    out = capsys.readouterr().out

    line = json.loads(out)
    assert out.count("\n") == 1
    assert line["requestId"] == answer.request_id
    assert (line["route"], line["status"], line["level"]) == ("/prices/{symbol}", 200, "info")
    assert line["functionVersion"] == line["ExecutedVersion"] == "7"
    assert line["apiKey"] == "cw_test_****0123"
    metrics = line["_aws"]["CloudWatchMetrics"][0]
    assert metrics["Namespace"] == "CryptoWatch"
    assert metrics["Dimensions"] == [["FunctionName", "ExecutedVersion"]]
    values = {metric["Name"]: line[metric["Name"]] for metric in metrics["Metrics"]}
    assert values["Latency"] == line["durationMs"] > 0
    assert (values["Requests"], values["ServerErrors"], values["ClientErrors"]) == (1, 0, 0)


def test_metrics_of_a_line_are_by_the_second_and_by_route(
    client: Client, table: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """All have a resolution of one second; requests and 5xx are counted by the route's template."""
    put_price(table, "BTC", age=4000)  # too old to be served
    client.send("/prices/BTC")

    line = json.loads(capsys.readouterr().out)

    version, by_route = line["_aws"]["CloudWatchMetrics"]
    assert {m["StorageResolution"] for m in version["Metrics"] + by_route["Metrics"]} == {1}
    assert by_route["Namespace"] == version["Namespace"]
    assert by_route["Dimensions"] == [["FunctionName", "ExecutedVersion", "route"]]
    assert {m["Name"]: line[m["Name"]] for m in by_route["Metrics"]} == {
        "Requests": 1,
        "ServerErrors": 1,
    }
    assert line["route"] == "/prices/{symbol}"


def test_latency_of_cold_requests_is_no_warm_latency(
    client: Client, table: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """An instance's first 3 requests have no WarmLatency, defined or given; their errors count."""
    put_price(table, "BTC", age=4000)  # too old to be served
    for _ in range(5):
        client.send("/prices/BTC")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    defined = [
        {m["Name"] for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]} for line in lines
    ]
    assert ["WarmLatency" in names for names in defined] == [False, False, False, True, True]
    assert [line.get("WarmLatency") for line in lines[:3]] == [None] * 3
    assert all(line["WarmLatency"] == line["Latency"] for line in lines[3:])
    assert all(names <= line.keys() for names, line in zip(defined, lines, strict=True))
    assert [line["ServerErrors"] for line in lines] == [1] * 5


@pytest.mark.parametrize("key", [KEY, "short", "sk_live_of_another_service_0123456789"])
def test_key_is_never_logged_or_answered(
    client: Client, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a client puts its key, no line and no answer has it."""
    bodies = [
        client.send(path, query, key=key).body
        for path, query in [("/prices", f"symbols={key}"), (f"/prices/{key}", ""), (f"/{key}", "")]
    ]
    printed = capsys.readouterr()

    assert key not in printed.out + printed.err + "".join(bodies)


def test_price_store_down_serves_what_was_read(
    price_lambda: SimpleNamespace, endpoint: str, table: Any
) -> None:
    """What was read last is served while DynamoDB is down, and health says that it is."""
    put_price(table, "BTC", age=10)
    store = price_lambda.dynamodb.DynamoDB(settings_of(price_lambda, endpoint, table.name))
    snapshot = price_lambda.prices.Snapshot(store, table.name, refresh_seconds=0)
    assert snapshot.get(["BTC"])["BTC"].symbol == "BTC"

    store.deadline = 0  # from now on no call may start
    held = snapshot.get(["BTC"])

    assert held["BTC"].symbol == "BTC"
    assert snapshot.check(["BTC"]) is not None
    with pytest.raises(price_lambda.dynamodb.UnavailableError):
        snapshot.get(["BTC", "ETH"])


def test_prices_are_read_at_most_every_five_seconds(
    price_lambda: SimpleNamespace, endpoint: str, table: Any
) -> None:
    """Within five seconds, a symbol already asked for costs no read, known or not."""
    put_price(table, "BTC")
    store = price_lambda.dynamodb.DynamoDB(settings_of(price_lambda, endpoint, table.name))
    snapshot = price_lambda.prices.Snapshot(store, table.name)
    snapshot.get(["BTC", "NOPE"])

    store.deadline = 0  # a read would raise

    assert list(snapshot.get(["BTC", "NOPE"])) == ["BTC"]


def test_handler_reads_its_configuration_from_the_environment(
    price_lambda: SimpleNamespace,
    endpoint: str,
    table: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`app.handler` is the whole Lambda: environment in, answer out."""
    price_lambda.app._api.cache_clear()
    put_key(table)
    put_price(table, "BTC")
    for name, value in {
        "TABLE_NAME": table.name,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "session",
    }.items():
        monkeypatch.setenv(name, value)

    answer = Client(price_lambda.app.handler).send("/prices", "symbols=BTC")

    assert answer.status == 200

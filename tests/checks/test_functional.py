"""The functional checks fail where the service does, each for its own reason."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from release.verdict import Verdict
from tests.checks.staging_parts import Answer, Bend, Cloud, bent, changed, plain


def failed_when(cloud: Cloud, name: str, bend: Bend) -> str:
    """The evidence of a check that fails on the service bent so."""
    with bent(cloud.url, bend) as url:
        return cloud.failed(name, url=url)


def on(path: str, change: Callable[[Any], None]) -> Bend:
    """A bend of the successful JSON answers at a path."""

    def bend(asked: str, answer: httpx.Response) -> Answer | None:
        is_it = asked.startswith(path) and answer.status_code == 200
        return changed(answer, change) if is_it else None

    return bend


def test_answer_that_lacks_a_documented_field_fails_endpoints(cloud: Cloud) -> None:
    """An answer is held to the schema that the served document gives."""
    evidence = failed_when(cloud, "endpoints", on("/prices/", lambda d: d["data"].pop("name")))

    assert evidence == "GET /prices/BTC: $.data: 'name' is a required property"


def test_route_that_breaks_fails_endpoints(cloud: Cloud) -> None:
    """One path that answers 500 is named."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return (500, {}, b"{}") if path == "/prices/BTC" else None

    assert failed_when(cloud, "endpoints", bend) == "GET /prices/BTC: status 500"


def test_missing_documented_header_fails_endpoints(cloud: Cloud) -> None:
    """The headers of the document are part of it."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        del answer.headers["vary"]
        return plain(answer)

    assert "GET /health: no header Vary" in failed_when(cloud, "endpoints", bend)


def test_key_that_is_not_asked_for_fails_authentication(cloud: Cloud) -> None:
    """A route that answers without a key, and with any, is found."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return (200, {}, b"{}") if answer.status_code == 401 else None

    evidence = failed_when(cloud, "authentication", bend)

    assert evidence == "without a key 200; with an unknown key 200"


def test_other_commit_fails_health(cloud: Cloud) -> None:
    """Staging that runs another commit and version is not healthy."""
    evidence = cloud.failed("health", order={"sha": "f" * 40, "version": "9.9.9"})

    assert f"version is {cloud.order.version}, not 9.9.9" in evidence
    assert f"gitSha is {cloud.order.sha}, not {'f' * 40}" in evidence


def test_unreachable_table_fails_health(cloud: Cloud) -> None:
    """What /health says of DynamoDB counts."""
    bend = on("/health", lambda d: d["checks"].update(dynamodb="unreachable"))

    assert failed_when(cloud, "health", bend) == "dynamodb is unreachable, not ok"


@pytest.mark.parametrize(
    ("field", "says"), [("requestId", "requestId"), ("timestamp", "timestamp None")]
)
def test_error_without_a_field_fails_error_format(cloud: Cloud, field: str, says: str) -> None:
    """One kind of error that lacks a field is enough, and is named."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        is_it = answer.status_code == 404
        return changed(answer, lambda d: d.pop(field)) if is_it else None

    evidence = failed_when(cloud, "error-format", bend)

    assert evidence.startswith("an unknown symbol: ")
    assert says in evidence
    assert "a POST" not in evidence


def test_error_of_another_kind_fails_error_format(cloud: Cloud) -> None:
    """A 405 that comes as a bare 404 is found."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return (404, {}, b"not here") if answer.status_code == 405 else None

    evidence = failed_when(cloud, "error-format", bend)

    assert evidence.startswith("a POST: status 404, not 405, code None, not METHOD_NOT_ALLOWED")


def test_stale_price_that_is_not_marked_fails_cache(cloud: Cloud) -> None:
    """A price made ten minutes ago has to say that it is stale."""
    bend = on("/prices/ZZS", lambda d: d["data"].update(stale=False))

    assert failed_when(cloud, "cache", bend) == "stale: `stale` is False"


def test_price_older_than_an_hour_that_is_served_fails_cache(cloud: Cloud) -> None:
    """What is too old has to be refused."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return (200, {}, b'{"data":{}}') if path.startswith("/prices/ZZO") else None

    evidence = failed_when(cloud, "cache", bend)

    assert evidence.startswith("a price older than an hour: status 200, not 503")


def test_etag_that_is_not_honoured_fails_cache(cloud: Cloud) -> None:
    """An answer that is known has to come as a 304."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        if answer.status_code != 304:
            return None
        return 200, {"etag": answer.headers["etag"]}, b"{}"

    assert failed_when(cloud, "cache", bend) == "a known ETag got no 304"


def test_wrong_age_fails_cache(cloud: Cloud) -> None:
    """Age is how old the price is."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return plain(answer, age="1234") if path.startswith("/prices/ZZS") else None

    assert "Age is '1234', not the price's age" in failed_when(cloud, "cache", bend)


def test_made_up_prices_are_gone_after_the_cache_check(cloud: Cloud) -> None:
    """Staging's table holds no made-up price afterwards, also when the check failed."""
    with bent(cloud.url, lambda path, answer: (500, {}, b"")) as url:
        result = cloud.check("cache", url=url)["cache"]

    assert result.verdict is not Verdict.PASSED
    items = cloud.aws.dynamodb.scan(TableName=cloud.order.table)["Items"]
    assert [i["PK"]["S"] for i in items if i["PK"]["S"].startswith("PRICE#ZZ")] == []


def test_price_from_the_future_fails_timestamps(cloud: Cloud) -> None:
    """A time that is still to come is wrong, and so is a timestamp that is not the newest price."""
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    bend = on("/prices?", lambda d: d["data"][0].update(lastUpdated=later))

    evidence = failed_when(cloud, "timestamps", bend)

    assert f"the time of BTC is {later}, in the future" in evidence
    assert f"the newest price of {later}" in evidence


def test_local_time_fails_timestamps(cloud: Cloud) -> None:
    """Times are in UTC with Z."""
    bend = on("/prices?", lambda d: d.update(timestamp="2025-01-31T12:00:00+01:00"))

    evidence = failed_when(cloud, "timestamps", bend)

    assert "the time of the answer is '2025-01-31T12:00:00+01:00'" in evidence


def test_old_price_fails_price_updates(cloud: Cloud) -> None:
    """One price that was not renewed is enough."""
    before = (datetime.now(UTC) - timedelta(minutes=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    bend = on("/prices?", lambda d: d["data"][3].update(lastUpdated=before))

    evidence = failed_when(cloud, "price-updates", bend)

    assert re.fullmatch(r"oldest of 10 prices 42\d s; allowed 300 s", evidence)


def test_missing_field_fails_required_fields(cloud: Cloud) -> None:
    """Each price has to have each field."""
    bend = on("/prices?", lambda d: d["data"][1].pop("marketCap"))

    assert failed_when(cloud, "required-fields", bend) == "ETH lacks marketCap"


@pytest.mark.parametrize(
    ("old", "new", "evidence"),
    [
        (b'"price":', b'"price":1', None),
        (b',"marketCap"', b'0,"marketCap"', "BTC change24h is written "),
        (b',"change24h"', b'5,"change24h"', "BTC price is written "),
    ],
)
def test_another_decimal_fails_precision(
    cloud: Cloud, old: bytes, new: bytes, evidence: str | None
) -> None:
    """The text counts: 1.500 and 1.5 are the same number and not the same precision."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        if not path.startswith("/prices?"):
            return None
        return plain(answer, answer.content.replace(old, new, 1))

    with bent(cloud.url, bend) as url:
        result = cloud.check("precision", url=url)["precision"]

    assert (result.verdict is Verdict.FAILED) == (evidence is not None)
    assert evidence is None or result.evidence.startswith(evidence)


def test_float_artefact_fails_precision_and_a_tiny_price_passes(cloud: Cloud) -> None:
    """Four significant digits are right below half a cent, and nowhere else."""

    def bend_to(price: bytes) -> Bend:
        def bend(path: str, answer: httpx.Response) -> Answer | None:
            head, _, rest = answer.content.partition(b'"price":')
            content = head + b'"price":' + price + rest[rest.index(b",") :]
            return plain(answer, content) if path.startswith("/prices?") else None

        return bend

    assert "BTC price is written 0.1234" in failed_when(cloud, "precision", bend_to(b"0.1234"))
    with bent(cloud.url, bend_to(b"0.00002134")) as url:
        cloud.passed("precision", url=url)

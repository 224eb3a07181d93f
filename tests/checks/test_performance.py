"""The performance checks fail where a figure is beyond its limit."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.checks.logs import Line
from activities.checks.performance import judge_memory
from activities.staging import Check
from release.verdict import CheckResult, Verdict
from tests.checks.staging_parts import Answer, Cloud, bent


@pytest.mark.parametrize("name", ["price-latency", "health-latency"])
def test_slow_answers_fail_their_latency(cloud: Cloud, name: str) -> None:
    """A p99 beyond the limit fails, with the figures."""
    slow = {"price_p99_ms": 1, "health_p99_ms": 1, "requests": 20}

    evidence = cloud.failed(name, limits=slow)

    assert "over 20 requests; allowed 1 ms" in evidence


def test_failed_answers_fail_the_latency(cloud: Cloud) -> None:
    """An error is no fast answer."""

    def bend(path: str, answer: Any) -> Answer | None:
        return (500, {}, b"") if path.startswith("/prices?") else None

    with bent(cloud.url, bend) as url:
        evidence = cloud.failed("price-latency", url=url, limits={"requests": 20})

    assert evidence == "20 of 20 requests were not answered with 200"


def test_p99_is_of_at_least_the_requests_asked_for(cloud: Cloud) -> None:
    """The policy says how many requests a p99 needs; the keys take turns below their limit."""
    evidence = cloud.passed("price-latency", limits={"requests": 130})

    assert "over 130 requests; allowed 2000 ms" in evidence


def test_slow_table_fails_dynamodb_latency(cloud: Cloud) -> None:
    """The service's own metric of its table's latency is held to its limit."""
    evidence = cloud.failed("dynamodb-latency", limits={"dynamodb_p99_ms": 1})

    assert evidence.endswith("allowed 1 ms")


def memory(used_mb: list[int], allowed_mb: int = 10) -> CheckResult:
    """The judgement of one instance's REPORT lines."""
    begin = datetime(2025, 1, 31, tzinfo=UTC)
    check = Check("memory", "")
    lines = [
        Line(
            "/aws/lambda/api",
            "2025/01/31/[3]0123456789abcdef",
            begin + timedelta(seconds=number),
            f"REPORT RequestId: {number}\tDuration: 1.00 ms\tBilled Duration: 1 ms\t"
            f"Memory Size: 256 MB\tMax Memory Used: {used} MB",
        )
        for number, used in enumerate(used_mb)
    ]
    judge_memory(check, lines, allowed_mb)
    return check.result()


def test_growing_memory_fails() -> None:
    """An instance whose peak goes on rising after its warm-up leaks."""
    result = memory([30 + number // 2 for number in range(100)])

    assert result.verdict is Verdict.FAILED
    assert result.evidence == (
        "instance …abcdef: 34 → 79 MB over 100 invocations, 45 MB more; allowed 10"
    )


def test_memory_that_settles_in_its_warm_up_passes() -> None:
    """The first invocations may take what they need."""
    result = memory([30, 40, 50, 60, 70] + [71] * 95)

    assert result.verdict is Verdict.PASSED
    assert "71 → 71 MB over 100 invocations" in result.evidence


@pytest.mark.parametrize("used_mb", [[], [30] * 19])
def test_too_few_reports_of_memory_are_inconclusive(used_mb: list[int]) -> None:
    """A few invocations say nothing of a leak."""
    assert memory(used_mb).verdict is Verdict.INCONCLUSIVE


class Fetcher:
    """Lambda's client for a fetcher that answers this."""

    def __init__(self, **answer: Any) -> None:
        self._answer = answer

    def invoke(self, **_: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps(self._answer).encode())}


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        (
            {"status": "failed", "error": "HTTP 500", "updated": [], "kept": [], "refused": {}},
            "the feed failed: HTTP 500; the feed gave no price",
        ),
        (
            {"status": "ok", "updated": ["BTC"], "kept": [], "refused": {"ETH": "usd is missing"}},
            "refused: {'ETH': 'usd is missing'}",
        ),
    ],
)
def test_feed_that_gives_less_fails_price_feed(
    cloud: Cloud, answer: dict[str, Any], evidence: str
) -> None:
    """A feed that fails, or lacks a coin, does not perform well."""
    lambda_ = Fetcher(dryRun=True, **answer)

    assert cloud.failed("price-feed", clients={"lambda_": lambda_}) == evidence


def test_dry_run_of_the_feed_writes_nothing(cloud: Cloud) -> None:
    """Checking the feed leaves the prices as they are."""

    def prices() -> list[Any]:
        return sorted(map(str, cloud.aws.dynamodb.scan(TableName=cloud.order.table)["Items"]))

    before = [item for item in prices() if "PRICE#" in item]
    cloud.passed("price-feed")

    assert [item for item in prices() if "PRICE#" in item] == before


def test_release_without_a_fetcher_has_no_price_feed(cloud: Cloud) -> None:
    """What is not there cannot be measured, and the evidence says so."""
    order = {"functions": {"api": cloud.order.functions["api"]}}

    result = cloud.check("price-feed", order=order)["price-feed"]

    assert result.verdict is Verdict.NOT_APPLICABLE
    assert result.evidence == "the release has no function 'fetcher'"

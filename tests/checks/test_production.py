"""The day after a release, measured on the real service: each check with its own harm."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.inputs import WatchInput, WatchSeen
from activities.post_deploy import PostDeploy
from activities.staging import Staging
from activities.traffic import Traffic
from release.alarms import rollback_alarm_names
from release.checklist import ProductionCheck
from release.verdict import CheckResult, Verdict
from tests.checks.staging_parts import At, Cloud, bent, changed, plain

API, FETCHER = "crypto-watch-api-prod", "crypto-watch-fetcher-prod"
BEFORE = "0"  # a version that has published metrics once, and is gone
ALARM = rollback_alarm_names("crypto-watch", "prod")[0]


@pytest.fixture(scope="module", autouse=True)
def requested(cloud: Cloud) -> None:
    """Production has answered a few hundred requests, and its metrics have them."""
    production = Staging(cloud.aws.ssm, cloud.aws.secrets).connect(order(cloud), time.sleep)
    with production as http:
        for _ in range(70):
            http.get("/prices/BTC")
    deadline = time.monotonic() + 60
    while look(cloud, "latency")["latency"].evidence.startswith("at most"):
        assert time.monotonic() < deadline


def order(cloud: Cloud, *checks: str, **changes: Any) -> WatchInput:
    """A look at production, which serves what it has served all along."""
    now = datetime.now(UTC)
    staging = cloud.order.model_dump(exclude={"environment", "checks", "functions", "table"})
    return WatchInput(
        **staging
        | {
            "environment": "prod",
            "checks": checks,
            "functions": {"api": API, "fetcher": FETCHER},
            "table": "crypto-watch-prod",
            "published": {"api": "1", "fetcher": "1"},
            "baseline": {"api": BEFORE, "fetcher": "1"},
            "released_at": now - timedelta(minutes=30),
            "until": now,
            "span": timedelta(minutes=15),
            "look_every": timedelta(0),
            "confirm_after": timedelta(0),
        }
        | changes
    )


def watch(cloud: Cloud, *checks: str, **given: Any) -> WatchSeen:
    """One look, and a second one at what failed."""
    aws = replace(cloud.aws, **given.pop("clients", {}))
    url = given.pop("url", None)
    staging = Staging(aws.ssm, aws.secrets) if url is None else At(url, aws.secrets)
    activity = PostDeploy(staging, aws, Traffic(aws.lambda_), cloud.repository)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    found: WatchSeen = environment.run(activity.watch_production, order(cloud, *checks, **given))
    return found


def look(cloud: Cloud, *checks: str, **given: Any) -> dict[str, CheckResult]:
    """The results by check."""
    return {result.id: result for result in watch(cloud, *checks, **given).results}


def failed(cloud: Cloud, check: str, **given: Any) -> str:
    """The evidence of a check that has to fail."""
    result = look(cloud, check, **given)[check]
    assert result.verdict is Verdict.FAILED, result
    return result.evidence


def production_url(cloud: Cloud) -> str:
    """Where production is."""
    found = cloud.aws.ssm.get_parameter(Name="/crypto-watch/prod/url")
    return str(found["Parameter"]["Value"])


def publish(cloud: Cloud, version: str, at: datetime, requests: int, **figures: Any) -> None:
    """Metrics as a version of the API publishes them: counts, and latencies in milliseconds."""
    failures, p90 = figures.get("failures", 0), figures.get("latency_ms")
    dimensions = [
        {"Name": "FunctionName", "Value": API},
        {"Name": "ExecutedVersion", "Value": version},
    ]
    data: list[dict[str, Any]] = [
        {"MetricName": "Requests", "Value": requests},
        {"MetricName": "ServerErrors", "Value": failures},
    ]
    if p90:
        data.append({"MetricName": "WarmLatency", "Values": [p90], "Counts": [requests]})
    cloud.aws.cloudwatch.put_metric_data(
        Namespace="CryptoWatch",
        MetricData=[one | {"Dimensions": dimensions, "Timestamp": at} for one in data],
    )


@contextmanager
def alarm_red(cloud: Cloud) -> Iterator[None]:
    """The errors alarm is red by hand, and green again."""
    cloudwatch = cloud.aws.cloudwatch
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="a test")
    try:
        yield
    finally:
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="it is over")


@pytest.fixture
def version_before(request: pytest.FixtureRequest) -> str:
    """The name of a version before, of which no other test has published anything."""
    return f"before-{abs(hash(request.node.name))}"


def test_healthy_production_fails_nothing(cloud: Cloud) -> None:
    """Every check measures the real service; only what has no day before is inconclusive."""
    results = look(cloud, *ProductionCheck)

    open_ = {name for name, r in results.items() if r.verdict is not Verdict.PASSED}
    assert open_ == {"error-rate", "latency", "anomalies"}
    for name in open_:
        assert results[name].verdict is Verdict.INCONCLUSIVE
        assert "of the day before nothing was measured" in results[name].evidence
    assert results["health"].evidence == f"GET /health 200 from {cloud.order.sha[:12]}"
    assert results["traffic"].evidence == "api 100 % on version 1; fetcher 100 % on version 1"


def test_look_is_gentle(cloud: Cloud) -> None:
    """A whole look sends a few dozen requests, writes nothing, and uses nobody's limit up."""
    before = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")["RevisionId"]
    items = cloud.aws.dynamodb.scan(TableName="crypto-watch-prod", Select="COUNT")["Count"]
    asked: list[str] = []

    def count(path: str, answer: httpx.Response) -> None:
        asked.append(path)

    with bent(production_url(cloud), count) as url:
        look(cloud, *ProductionCheck, url=url)

    assert 10 < len(asked) < 40
    after = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")["RevisionId"]
    assert after == before
    now = cloud.aws.dynamodb.scan(TableName="crypto-watch-prod", Select="COUNT")["Count"]
    assert now <= items + 4  # a minute's counters of the test keys, and no price


def test_health_that_is_not_200_fails(cloud: Cloud) -> None:
    """A 503 is the health endpoint's own word, and is not 200."""
    with bent(production_url(cloud), lambda path, answer: (503, {}, b"{}")) as url:
        assert failed(cloud, "health", url=url) == "GET /health answered 503"


def test_health_of_another_commit_fails(cloud: Cloud) -> None:
    """Whoever answers has to be the release."""
    evidence = failed(cloud, "health", sha="b" * 40)

    assert evidence == f"GET /health is answered by {cloud.order.sha}, not by {'b' * 12}"


def test_endpoint_that_is_not_as_documented_fails(cloud: Cloud) -> None:
    """A field that is gone is seen."""

    def bend(path: str, answer: httpx.Response) -> Any:
        if path != "/prices/BTC":
            return None
        return changed(answer, lambda document: document["data"].pop("price"))

    with bent(production_url(cloud), bend) as url:
        assert "'price' is a required property" in failed(cloud, "endpoints", url=url)


class Red:
    """CloudWatch, with the errors alarm red: one set by hand is soon evaluated again."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def describe_alarms(self, **asked: Any) -> Any:
        """What stands there, but for the one state."""
        answer = self._real.describe_alarms(**asked)
        for alarm in answer["MetricAlarms"]:
            if alarm["AlarmName"] == ALARM:
                alarm |= {"StateValue": "ALARM", "StateReason": "a test"}
        return answer


def test_red_alarm_fails_unless_it_was_red_before(cloud: Cloud) -> None:
    """Ours is what went red after the release; one that cleared is ours if it comes back."""
    red = {"cloudwatch": Red(cloud.aws.cloudwatch)}
    was_red = (ALARM, "crypto-watch-backend-prod-api-5xx")
    evidence = failed(cloud, "alarms", clients=red)
    before = watch(cloud, "alarms", clients=red, red_before=was_red)

    assert evidence == f"{ALARM} is red: a test"
    assert before.results[0].verdict is Verdict.PASSED
    assert "red since before the release: not ours" in before.results[0].evidence
    assert before.red_before == (ALARM,)


def test_alarm_that_was_red_between_two_looks_is_an_anomaly(cloud: Cloud) -> None:
    """A round sees what happened since the last one; before that it looks at nothing."""
    with alarm_red(cloud):
        pass

    assert f"{ALARM} went red at " in failed(cloud, "anomalies")
    later = look(cloud, "anomalies", span=timedelta(0))["anomalies"]
    assert later.verdict is Verdict.INCONCLUSIVE


def test_alarm_that_is_gone_is_inconclusive(cloud: Cloud) -> None:
    """Nobody is rolled back for an alarm that somebody deleted, but it is said."""

    class Without:
        def describe_alarms(self, **_: Any) -> dict[str, Any]:
            return {"MetricAlarms": []}

    result = look(cloud, "alarms", clients={"cloudwatch": Without()})["alarms"]

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence.startswith("there is no alarm ")


def test_fetcher_on_another_version_fails_traffic(cloud: Cloud) -> None:
    """The API serves the release, and a function that should have followed did not."""
    evidence = failed(cloud, "traffic", published={"api": "1", "fetcher": "2"})

    assert evidence == "fetcher serves version 1, not 2"


def test_api_on_another_version_is_superseded_and_not_measured(cloud: Cloud) -> None:
    """Another release's production says nothing of ours."""
    found = watch(cloud, "health", published={"api": "9", "fetcher": "9"})

    assert found.superseded == "version 1"
    assert found.results == ()


@pytest.mark.parametrize(
    ("failures", "verdict"), [(0, Verdict.PASSED), (900, Verdict.FAILED)], ids=["good", "bad"]
)
def test_error_rate_is_held_against_the_day_before(
    cloud: Cloud, version_before: str, failures: int, verdict: Verdict
) -> None:
    """The counts are read from CloudWatch, each version's own."""
    now, new = datetime.now(UTC), f"{version_before}-new"
    publish(cloud, version_before, now - timedelta(hours=1), 10_000, failures=10)
    publish(cloud, new, now - timedelta(minutes=2), 1_000, failures=failures)

    result = counted(cloud, "error-rate", version_before, new)

    assert result.verdict is verdict
    assert result.evidence.startswith(f"{failures} of 1000 requests failed")
    assert "the day before 10 of 10000" in result.evidence


def counted(cloud: Cloud, check: str, before: str, new: str, **given: Any) -> CheckResult:
    """A metric's check of versions that only CloudWatch knows."""
    aws = replace(cloud.aws, **given.pop("clients", {}))
    activity = PostDeploy(
        Staging(aws.ssm, aws.secrets), aws, Traffic(aws.lambda_), cloud.repository
    )
    versions = {"published": {"api": new}, "baseline": {"api": before}}
    context = activity.context(order(cloud, check, **versions, **given))
    return activity.check(context, check)


@pytest.mark.parametrize(
    ("latency_ms", "verdict"), [(110, Verdict.PASSED), (400, Verdict.FAILED)], ids=["good", "bad"]
)
def test_latency_is_held_against_the_worst_hour_before(
    cloud: Cloud, version_before: str, latency_ms: int, verdict: Verdict
) -> None:
    """Of two hours the slower one counts."""
    now, new = datetime.now(UTC), f"{version_before}-new"
    publish(cloud, version_before, now - timedelta(minutes=150), 100, latency_ms=20)
    publish(cloud, version_before, now - timedelta(minutes=75), 100, latency_ms=100)
    publish(cloud, new, now - timedelta(minutes=2), 100, latency_ms=latency_ms)

    result = counted(cloud, "latency", version_before, new)

    assert result.verdict is verdict
    assert f"p90 {latency_ms} ms" in result.evidence
    assert "worst hour of the day before 100 ms" in result.evidence


def test_one_bad_quarter_of_a_good_round_is_an_anomaly(cloud: Cloud, version_before: str) -> None:
    """Six good hours do not hide a quarter in which every third request failed."""
    now, new = datetime.now(UTC), f"{version_before}-new"
    publish(cloud, version_before, now - timedelta(minutes=160), 10_000, latency_ms=20)
    publish(cloud, new, now - timedelta(minutes=90), 900, failures=300, latency_ms=20)
    publish(cloud, new, now - timedelta(minutes=30), 100_000, latency_ms=20)

    given = {"released_at": now - timedelta(minutes=150), "span": timedelta(hours=6)}
    bad = counted(cloud, "anomalies", version_before, new, **given)
    short = counted(cloud, "error-rate", version_before, new, **given)

    assert "worst quarter: 300 of 900 requests failed" in bad.evidence
    assert short.verdict is Verdict.PASSED


def test_metrics_show_the_requests(cloud: Cloud) -> None:
    """The dashboards' figures, of the version that is watched."""
    result = look(cloud, "metrics")["metrics"]

    assert result.verdict is Verdict.PASSED
    assert result.evidence.startswith("Requests ")
    assert "Throttles 0" in result.evidence
    assert "DynamoDB's p99 in an hour " in result.evidence


def test_metrics_of_a_version_nobody_invokes_are_inconclusive(cloud: Cloud) -> None:
    """Without a request there is nothing to see."""
    result = counted(cloud, "metrics", "1", "77")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence.startswith("nothing was invoked")


def test_cache_that_gives_no_tag_fails(cloud: Cloud) -> None:
    """A price that cannot be revalidated is fetched whole by everybody."""

    def bend(path: str, answer: httpx.Response) -> Any:
        return plain(answer, etag="") if path.startswith("/prices/") else None

    with bent(production_url(cloud), bend) as url:
        assert "is not a strong one" in failed(cloud, "cache", url=url)


def test_limit_that_does_not_count_fails(cloud: Cloud) -> None:
    """Three requests have to be seen in what is left."""

    def bend(path: str, answer: httpx.Response) -> Any:
        return plain(answer, ratelimit_remaining="99") if path == "/prices/BTC" else None

    with bent(production_url(cloud), bend) as url:
        evidence = failed(cloud, "rate-limit", url=url)

    assert evidence == "RateLimit-Remaining of three requests is [99, 99, 99]"


def old_prices(path: str, answer: httpx.Response) -> Any:
    """Prices that nobody has renewed for ten minutes."""
    if not path.startswith("/prices?"):
        return None
    made = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def age(document: Any) -> None:
        for item in document["data"]:
            item["lastUpdated"] = made

    return changed(answer, age)


def test_old_prices_fail_where_the_fetcher_before_can_fetch(cloud: Cloud) -> None:
    """Prices that stay old are the release's doing, if the old fetcher would renew them."""
    with bent(production_url(cloud), old_prices) as url:
        evidence = failed_now(cloud, "price-updates", url)

    assert "oldest of " in evidence


def failed_now(cloud: Cloud, check: str, url: str, **clients: Any) -> str:
    """As `failed`, with no patience for a fetch under way."""
    result = impatient(cloud, check, url, **clients)
    assert result.verdict is Verdict.FAILED, result
    return result.evidence


def impatient(cloud: Cloud, check: str, url: str, **clients: Any) -> CheckResult:
    """A check that waits for no fetch."""
    aws = replace(cloud.aws, **clients)
    activity = PostDeploy(At(url, aws.secrets), aws, Traffic(aws.lambda_), cloud.repository)
    context = activity.context(order(cloud, check))
    context.patience = replace(context.patience, fetch=timedelta(0))
    return activity.check(context, check)


class BrokenFeed:
    """Lambda, with a fetcher that cannot fetch."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def invoke(self, **_: Any) -> dict[str, Any]:
        """A dry run that found no feed."""

        class Payload:
            def read(self) -> bytes:
                return b'{"status": "failed", "dryRun": true}'

        return {"Payload": Payload()}


def test_old_prices_of_a_broken_feed_are_not_the_releases_doing(cloud: Cloud) -> None:
    """Going back would renew no price: inconclusive, and said."""
    with bent(production_url(cloud), old_prices) as url:
        result = impatient(cloud, "price-updates", url, lambda_=BrokenFeed(cloud.aws.lambda_))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence.endswith("the fetcher before this release cannot fetch either")


@pytest.fixture
def write_log(cloud: Cloud) -> Any:
    """Writes lines into the log of a version of the API; they are gone after the test."""
    logs, group = cloud.aws.logs, f"/aws/lambda/{API}"
    written: list[str] = []

    def write(version: str, *lines: dict[str, Any], minutes_ago: float = 1) -> None:
        stream = f"2026/01/01/[{version}]test{len(written)}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        written.append(stream)
        at = int((time.time() - 60 * minutes_ago) * 1000)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": at, "message": json.dumps(line)} for line in lines],
        )

    yield write
    for stream in written:
        logs.delete_log_stream(logGroupName=group, logStreamName=stream)


ERROR = {"level": "error", "event": "request", "route": "/prices", "status": 500}


def test_new_kind_of_error_in_the_log_fails(cloud: Cloud, write_log: Any) -> None:
    """Three lines of what the version before never logged are harm; two may be chance."""
    write_log("1", ERROR, ERROR)
    two = look(cloud, "logs")["logs"]
    write_log("1", ERROR)
    evidence = failed(cloud, "logs")

    assert two.verdict is Verdict.PASSED
    assert "request /prices 500 (2 lines, not known before)" in two.evidence
    assert evidence == f"{API}: request /prices 500 (3 lines, not known before)"


def test_error_that_the_version_before_logged_too_is_not_the_releases(
    cloud: Cloud, write_log: Any
) -> None:
    """What was there before is shown, and is no reason to go back to it."""
    write_log("1", ERROR, ERROR, ERROR)
    write_log(BEFORE, ERROR, minutes_ago=60)
    result = look(cloud, "logs")["logs"]

    assert result.verdict is Verdict.PASSED
    assert "request /prices 500 (3 lines, as before)" in result.evidence


def test_the_services_own_503_is_no_error_of_the_release(cloud: Cloud, write_log: Any) -> None:
    """It says that prices are too old, which another item watches; with an exception it counts."""
    write_log("1", *[ERROR | {"status": 503}] * 5)
    assert look(cloud, "logs")["logs"].verdict is Verdict.PASSED

    write_log("1", *[ERROR | {"status": 503, "exception": {"type": "OSError"}}] * 3)
    assert "request /prices 503 OSError (3 lines" in failed(cloud, "logs")


def test_aws_that_does_not_answer_is_inconclusive(cloud: Cloud) -> None:
    """While CloudWatch and its logs are away nothing of theirs is judged."""

    class Down:
        def __getattr__(self, name: str) -> Any:
            raise TimeoutError(f"{name}: no answer")

    down = {"cloudwatch": Down(), "logs": Down()}
    results = look(cloud, *ProductionCheck, clients=down)

    open_ = {name for name, r in results.items() if r.verdict is Verdict.INCONCLUSIVE}
    assert open_ == {"alarms", "error-rate", "latency", "logs", "anomalies", "metrics"}
    assert Verdict.FAILED not in {result.verdict for result in results.values()}


def test_production_that_cannot_be_reached_is_inconclusive(cloud: Cloud) -> None:
    """No connection from here is not no service for others: the alarms see that."""
    results = look(cloud, "health", "endpoints", "cache", url="http://127.0.0.1:9")

    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}

"""The monitoring checks fail where logs, metrics or alarms are not as they have to be."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.checks.logs import Line, Window
from activities.checks.monitoring import judge_errors
from activities.staging import Check
from release.alarms import rollback_alarms
from release.verdict import CheckResult, Verdict
from tests.checks.staging_parts import IMPATIENT, Cloud
from tests.checks.test_security import logged

ERRORS, API_5XX, THROTTLES = (
    f"crypto-watch-backend-staging-{name}"
    for name in ("lambda-errors", "api-5xx", "lambda-throttles")
)
PROVOKED = "cw_test_****out1"


class NoData:
    """CloudWatch and its logs, where nothing has arrived; alarms are the real ones."""

    def __init__(self, cloud: Cloud) -> None:
        self.describe_alarms = cloud.aws.cloudwatch.describe_alarms

    def get_metric_data(self, **given: Any) -> dict[str, Any]:
        found = [
            {"Id": q["Id"], "Timestamps": [], "Values": []} for q in given["MetricDataQueries"]
        ]
        return {"MetricDataResults": found}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"logStreams": []}]


def test_log_lines_that_do_not_arrive_fail_logs(cloud: Cloud) -> None:
    """Requests without their line in time are counted; what reads the log then cannot judge."""
    results = cloud.check(
        "logs", "log-errors", "masked-keys", patience=IMPATIENT, clients={"logs": NoData(cloud)}
    )

    assert results["logs"].verdict is Verdict.FAILED
    assert results["logs"].evidence.startswith("after 0 s the log has 0 of 1 requests")
    for name in ("log-errors", "masked-keys"):
        assert results[name].verdict is Verdict.INCONCLUSIVE
        assert "no line of this run was in the log" in results[name].evidence


def test_metrics_that_are_not_published_fail_metrics(cloud: Cloud) -> None:
    """Requests that no metric counts are found; the alarms on them have no live data then."""
    results = cloud.check(
        *("metrics", "alarm-thresholds", "dynamodb-latency"),
        patience=IMPATIENT,
        clients={"cloudwatch": NoData(cloud)},
    )

    assert results["metrics"].verdict is Verdict.FAILED
    assert "Requests of version 1 counts 0 of " in results["metrics"].evidence
    assert results["alarm-thresholds"].verdict is Verdict.FAILED
    assert f"{THROTTLES} has no data: AWS/Lambda Throttles 0" in (
        results["alarm-thresholds"].evidence
    )
    assert results["dynamodb-latency"].verdict is Verdict.INCONCLUSIVE


@contextmanager
def alarms(cloud: Cloud, change: Callable[[dict[str, dict[str, Any]]], None]) -> Iterator[None]:
    """The flow's alarms with something changed, put right at the end."""
    right = {
        alarm["AlarmName"]: alarm
        for alarm in rollback_alarms(
            service=cloud.order.service,
            environment="staging",
            api_function=cloud.order.functions["api"],
            alias="live",
            api_id=cloud.order.table,
            period_seconds=cloud.order.alarm_period_seconds,
        )
    }
    put: dict[str, dict[str, Any]] = json.loads(json.dumps(right))
    change(put)
    cloud.aws.cloudwatch.delete_alarms(AlarmNames=list(right))
    try:
        for alarm in put.values():
            cloud.aws.cloudwatch.put_metric_alarm(**alarm)
        yield
    finally:
        cloud.aws.cloudwatch.delete_alarms(AlarmNames=list(right))
        for alarm in right.values():
            cloud.aws.cloudwatch.put_metric_alarm(**alarm)


def other_query(alarms: dict[str, dict[str, Any]]) -> None:
    """The rate of all errors, without regard to the number of requests."""
    alarms[ERRORS]["Metrics"][2]["Expression"] = "errors"


def other_version(alarms: dict[str, dict[str, Any]]) -> None:
    """Errors of another function."""
    dimensions = alarms[ERRORS]["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"]
    dimensions[0]["Value"] = "another-function"


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (lambda a: a[ERRORS].update(Threshold=6), f"{ERRORS}: Threshold is 6, not 5"),
        (
            lambda a: a[THROTTLES].update(Period=20),
            f"{THROTTLES}: Period is 20, not 10",
        ),
        (
            lambda a: a[API_5XX].update(EvaluationPeriods=3, DatapointsToAlarm=3),
            f"{API_5XX}: EvaluationPeriods is 3, not 2, DatapointsToAlarm is 3, not 2",
        ),
        (lambda a: a[ERRORS].update(ActionsEnabled=False), f"{ERRORS}: its actions are disabled"),
        (lambda a: a.pop(API_5XX), f"there is no alarm {API_5XX}"),
        (other_query, f"{ERRORS}: rate.Expression is errors, not IF(requests > 0, "),
        (other_version, f"{ERRORS}: errors.MetricStat is "),
    ],
)
def test_other_alarm_fails_alarms(
    cloud: Cloud, change: Callable[[dict[str, dict[str, Any]]], None], evidence: str
) -> None:
    """Threshold, period, periods, actions, math and dimensions: each counts."""
    with alarms(cloud, change):
        assert cloud.failed("alarms").startswith(evidence)


def test_other_threshold_fails_alarm_thresholds(cloud: Cloud) -> None:
    """The flow's thresholds are the appropriate ones."""
    with alarms(cloud, lambda alarms: alarms[ERRORS].update(Threshold=50)):
        assert cloud.failed("alarm-thresholds") == f"{ERRORS} has threshold 50, not 5"


def test_red_alarm_fails_alarm_thresholds(cloud: Cloud) -> None:
    """An alarm that is red now is shown with its reason."""

    class Red(NoData):
        get_metric_data = staticmethod(cloud.aws.cloudwatch.get_metric_data)  # type: ignore[assignment]

        def __init__(self, cloud: Cloud) -> None:
            real = cloud.aws.cloudwatch.describe_alarms

            def describe_alarms(**given: Any) -> Any:
                answer = real(**given)
                alarm = answer["MetricAlarms"][0]
                alarm.update(StateValue="ALARM", StateReason="2 of 2 above 10")
                return answer

            self.describe_alarms = describe_alarms

    evidence = cloud.failed("alarm-thresholds", clients={"cloudwatch": Red(cloud)})

    assert evidence == f"{API_5XX} is red: 2 of 2 above 10"


def test_error_line_fails_log_errors(cloud: Cloud) -> None:
    """An error that the version under test logged is named; another version's is not counted."""
    line = {"level": "error", "event": "request", "route": "/prices", "status": 500}
    line["exception"] = {"type": "ZeroDivisionError"}
    error = json.dumps(line)
    with logged(cloud, error, error), logged(cloud, '{"level": "critical"}', version="77"):
        evidence = cloud.failed("log-errors")

    assert evidence == (
        "crypto-watch-api-staging version 1: request /prices 500 ZeroDivisionError (2 lines)"
    )


def errors(*lines: str | dict[str, Any]) -> CheckResult:
    """The judgement of log lines."""
    at = datetime(2025, 1, 31, tzinfo=UTC)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    found = tuple(Line("/aws/lambda/api", "2025/01/31/[3]0", at, text) for text in texts)
    check = Check("log-errors", "")
    window = Window(at - timedelta(hours=24), ("/aws/lambda/api",), found, False)
    judge_errors(check, window, PROVOKED)
    return check.result()


@pytest.mark.parametrize(
    "line",
    [
        "0a1b2c Task timed out after 25.00 seconds",
        "RequestId: 0a1b2c Error: Runtime exited with error: signal: killed",
        "[ERROR] ValueError: broken\nTraceback (most recent call last):\n  ...",
        "Traceback (most recent call last):",
        "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout",
        {"level": "ERROR", "message": "lost"},
        {"level": "critical", "event": "fetch"},
        {"type": "platform.report", "record": {"status": "timeout"}},
        {"level": "error", "event": "request", "status": 503, "apiKey": "cw_test_****else"},
        {
            "level": "error",
            "event": "request",
            "status": 503,
            "apiKey": PROVOKED,
            "exception": {"type": "UnavailableError"},
        },
        {"level": "error", "event": "request", "status": 500, "apiKey": PROVOKED},
    ],
)
def test_errors_of_every_kind_fail_log_errors(line: str | dict[str, Any]) -> None:
    """Crashes, timeouts and errors are found; a provoked key excuses nothing but its plain 503."""
    assert errors("START RequestId: 0a1b2c Version: 3", line).verdict is Verdict.FAILED


def test_ordinary_lines_pass_log_errors() -> None:
    """What is refused is a warning, and a 503 that the checks provoked is said and left out."""
    result = errors(
        "INIT_START Runtime Version: python3.13",
        "REPORT RequestId: 0a1b2c\tDuration: 1.00 ms",
        "an error budget is left",
        {"level": "warning", "event": "request", "status": 404},
        {"level": "error", "event": "request", "status": 503, "apiKey": PROVOKED},
        {"type": "platform.report", "record": {"status": "success"}},
    )

    assert result.verdict is Verdict.PASSED
    assert result.evidence == (
        "no error in 6 lines of 1 log group since 2025-01-31 00:00:00Z, of api:3; "
        "left out: 1 with status 503 that the cache check provoked"
    )

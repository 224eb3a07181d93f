"""The alarms of the flow ("Automatic Rollback" in the promotion flow), as CloudWatch wants them.

Two levels, because at 10 % weight an alias-level 5 % alarm fires only when half of the canary's
requests fail: the flow's three alarms stand on the alias all the time, and a release adds one on
the canary's `ExecutedVersion` for as long as it shifts.
"""

from typing import Any

from release.text import camel_case

MAX_LAMBDA_ERROR_PERCENT = 5
MAX_API_5XX_PERCENT = 10
MAX_THROTTLES = 10
MIN_FAILURES = 3
"""Failures in a period below which a rate counts as 0: where few requests come, one that fails is a
huge percentage. Of healthy releases of a quiet function 14 % were rolled back without this floor,
0.1 % with it."""

# The outer IF has no point where `requests` has none: a quiet minute is missing data, never 0 %.
# An AND of both conditions would be 0 there, as AWS reads a missing operand of it as 0.
_RATE = f"IF(requests > 0, IF(FILL(errors, 0) >= {MIN_FAILURES}, 100 * errors / requests, 0), 0)"


def metrics_namespace(service: str) -> str:
    """Where a service publishes its own metrics (embedded metric format): CryptoWatch."""
    return camel_case(service)


def alarm_prefix(service: str, environment: str) -> str:
    """The name every alarm of an environment starts with."""
    return f"{service}-backend-{environment}"


def canary_alarm_name(service: str, environment: str) -> str:
    """The alarm that watches the new version alone while a release shifts."""
    return f"{alarm_prefix(service, environment)}-canary-errors"


def rollback_alarm_names(service: str, environment: str) -> list[str]:
    """The flow's three alarms."""
    prefix = alarm_prefix(service, environment)
    return [f"{prefix}-lambda-errors", f"{prefix}-api-5xx", f"{prefix}-lambda-throttles"]


def rollback_alarms(
    service: str, environment: str, api_function: str, alias: str, api_id: str, period_seconds: int
) -> list[dict[str, Any]]:
    """`PutMetricAlarm` arguments of the flow's three alarms.

    `period_seconds` is 60 everywhere but under a compressed clock.
    """
    errors, api_5xx, throttles = rollback_alarm_names(service, environment)
    on_alias = {"FunctionName": api_function, "Resource": f"{api_function}:{alias}"}
    on_api = {"ApiId": api_id}
    return [
        _rate_alarm(
            errors,
            f"Lambda error rate > {MAX_LAMBDA_ERROR_PERCENT} % for 2 minutes",
            MAX_LAMBDA_ERROR_PERCENT,
            ("AWS/Lambda", "Errors", on_alias),
            ("AWS/Lambda", "Invocations", on_alias),
            period_seconds,
        ),
        _rate_alarm(
            api_5xx,
            f"API Gateway 5xx rate > {MAX_API_5XX_PERCENT} % for 2 minutes",
            MAX_API_5XX_PERCENT,
            ("AWS/ApiGateway", "5xx", on_api),
            ("AWS/ApiGateway", "Count", on_api),
            period_seconds,
        ),
        {
            "AlarmName": throttles,
            "AlarmDescription": f"Lambda throttles > {MAX_THROTTLES} in 1 minute",
            "Namespace": "AWS/Lambda",
            "MetricName": "Throttles",
            "Dimensions": _dimensions(on_alias),
            "Statistic": "Sum",
            "Period": period_seconds,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": MAX_THROTTLES,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        },
    ]


def canary_alarm(
    service: str, environment: str, api_function: str, version: str, period_seconds: int
) -> dict[str, Any]:
    """`PutMetricAlarm` arguments of the release's own alarm, on the canary's executed version.

    It reads the service's `ServerErrors`, since the handler answers 500 itself and Lambda's
    `Errors` never sees it.
    """
    canary = {"FunctionName": api_function, "ExecutedVersion": version}
    return _rate_alarm(
        canary_alarm_name(service, environment),
        f"Version {version} answers more than {MAX_LAMBDA_ERROR_PERCENT} % with a 5xx, 2 periods",
        MAX_LAMBDA_ERROR_PERCENT,
        (metrics_namespace(service), "ServerErrors", canary),
        (metrics_namespace(service), "Requests", canary),
        period_seconds,
    )


def _rate_alarm(
    name: str,
    description: str,
    threshold_percent: int,
    errors: tuple[str, str, dict[str, str]],
    requests: tuple[str, str, dict[str, str]],
    period_seconds: int,
) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmDescription": description,
        "Metrics": [
            _sum("errors", errors, period_seconds),
            _sum("requests", requests, period_seconds),
            {
                "Id": "rate",
                "Expression": _RATE,
                "Label": f"percent of requests that failed, 0 below {MIN_FAILURES} failures",
                "ReturnData": True,
            },
        ],
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": threshold_percent,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _sum(
    metric_id: str, metric: tuple[str, str, dict[str, str]], period_seconds: int
) -> dict[str, Any]:
    namespace, name, dimensions = metric
    return {
        "Id": metric_id,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": _dimensions(dimensions),
            },
            "Period": period_seconds,
            "Stat": "Sum",
        },
        "ReturnData": False,
    }


def _dimensions(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]

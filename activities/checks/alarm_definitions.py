"""The flow's alarms: as they stand in CloudWatch, as they have to be, and where the two differ."""

import json
from typing import Any

from activities.checks.metrics import Metric
from release.alarms import rollback_alarm_names, rollback_alarms


def described_alarms(cloudwatch: Any, service: str, environment: str) -> dict[str, dict[str, Any]]:
    """The flow's alarms that exist, by name."""
    names = rollback_alarm_names(service, environment)
    answer = cloudwatch.describe_alarms(AlarmNames=names)
    return {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}


def wanted_alarms(
    described: dict[str, dict[str, Any]],
    *,
    service: str,
    environment: str,
    api_function: str,
    alias: str,
    period_seconds: int,
) -> list[dict[str, Any]]:
    """The alarms as they have to be. Only the API's id is taken from what stands there.

    That it is the id of this environment's API shows in the data: the requests have to be in it.
    """
    ids = [
        metric.dimensions["ApiId"]
        for alarm in described.values()
        for metric in metrics_behind(alarm)
        if "ApiId" in metric.dimensions
    ]
    return rollback_alarms(
        service=service,
        environment=environment,
        api_function=api_function,
        alias=alias,
        api_id=ids[0] if ids else "",
        period_seconds=period_seconds,
    )


def metrics_behind(alarm: dict[str, Any]) -> list[Metric]:
    """The metrics that an alarm reads."""
    if "MetricName" in alarm:
        return [Metric.of(alarm)]
    stats = [query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    return [Metric.of(stat["Metric"]) for stat in stats]


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The settings that are not as wanted; what AWS adds of its own is none."""
    wrong = []
    for key, value in wanted.items():
        if key == "Metrics":
            wrong += _query_differences(value, found.get("Metrics", []))
        elif _unordered(found.get(key)) != _unordered(value):
            wrong.append(f"{key} is {found.get(key)}, not {value}")
    extra = set(found) & {"Metrics", "MetricName", "ExtendedStatistic"} - set(wanted)
    wrong += [f"{key} is set" for key in extra if found[key]]
    return wrong


def _query_differences(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[str]:
    by_id = {query["Id"]: query for query in found}
    wrong = [f"a query {name} too many" for name in set(by_id) - {q["Id"] for q in wanted}]
    for query in wanted:
        there = by_id.get(query["Id"], {})
        wrong += [
            f"{query['Id']}.{key} is {there.get(key)}, not {value}"
            for key, value in query.items()
            if _unordered(there.get(key)) != _unordered(value)
        ]
    return wrong


def _unordered(value: Any) -> Any:
    """The value, with the dimensions inside in one order."""
    if isinstance(value, dict):
        return {key: _unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_unordered(inner) for inner in value), key=json.dumps)
    return value

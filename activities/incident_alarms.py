"""What CloudWatch saw of an incident: both versions by the period, and the alarms' past."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from release.alarms import canary_alarm, rollback_alarm_names
from release.incident import AlarmSeen, Change, Facts, Period, Point
from release.promotion import Counts

_ENVIRONMENT = "prod"
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(minutes=2)
_LONGEST = timedelta(hours=3)
_MOST_CHANGES = 20
_MOST_POINTS = 20

_Series = dict[datetime, float]


def periods_seen(cloudwatch: Any, facts: Facts) -> tuple[Period, ...]:
    """What both versions answered around the incident, oldest first, by the alarms' period."""
    new = _of_version(cloudwatch, facts, facts.bad.get(facts.api))
    old = _of_version(cloudwatch, facts, facts.expected[facts.api])
    return tuple(
        Period(at=at, new=new.get(at, Counts()), old=old.get(at, Counts()))
        for at in sorted({*new, *old})
    )


def alarms_seen(cloudwatch: Any, facts: Facts) -> tuple[AlarmSeen, ...]:
    """The release's alarms; the canary's is gone by now, but its past and its metrics are not."""
    names = rollback_alarm_names(facts.service, _ENVIRONMENT)
    described = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    alarms = [(alarm, str(alarm["StateValue"])) for alarm in described]
    version = facts.bad.get(facts.api)
    if version is not None:
        own = canary_alarm(facts.service, _ENVIRONMENT, facts.api, version, facts.period_seconds)
        alarms.append((own, ""))
    return tuple(_alarm(cloudwatch, alarm, state, facts) for alarm, state in alarms)


def _alarm(cloudwatch: Any, alarm: dict[str, Any], state: str, facts: Facts) -> AlarmSeen:
    start, end = _window(facts)
    history = cloudwatch.describe_alarm_history(
        AlarmName=alarm["AlarmName"],
        HistoryItemType="StateUpdate",
        StartDate=start,
        EndDate=end,
        MaxRecords=_MOST_CHANGES,
        ScanBy="TimestampDescending",
    )["AlarmHistoryItems"]
    seen = AlarmSeen(
        name=alarm["AlarmName"],
        text=alarm.get("AlarmDescription", ""),
        state=state,
        threshold=alarm.get("Threshold"),
        changes=tuple(
            Change(at=item["Timestamp"].astimezone(UTC), text=item["HistorySummary"])
            for item in reversed(history)
        ),
    )
    return seen.model_copy(update={"points": _points(cloudwatch, alarm, facts)})


def _points(cloudwatch: Any, alarm: dict[str, Any], facts: Facts) -> tuple[Point, ...]:
    """The newest datapoints of what the alarm compares."""
    queries = alarm.get("Metrics") or [_as_query(alarm)]
    compared = next(query["Id"] for query in queries if query.get("ReturnData", True))
    series = _read(cloudwatch, queries, facts).get(compared, {})
    return tuple(Point(at=at, value=series[at]) for at in sorted(series)[-_MOST_POINTS:])


def _as_query(alarm: dict[str, Any]) -> dict[str, Any]:
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions")}
    stat = {"Metric": metric, "Period": alarm["Period"], "Stat": alarm["Statistic"]}
    return {"Id": "value", "MetricStat": stat}


def _of_version(cloudwatch: Any, facts: Facts, version: str | None) -> dict[datetime, Counts]:
    """By the metrics that the canary's alarm reads, of any version."""
    if version is None:
        return {}
    alarm = canary_alarm(facts.service, _ENVIRONMENT, facts.api, version, facts.period_seconds)
    queries = [query | {"ReturnData": True} for query in alarm["Metrics"] if "MetricStat" in query]
    found = _read(cloudwatch, queries, facts)
    errors = found.get("errors", {})
    return {
        at: Counts(requests=round(count), failures=round(errors.get(at, 0)))
        for at, count in found.get("requests", {}).items()
    }


def _read(cloudwatch: Any, queries: Iterable[dict[str, Any]], facts: Facts) -> dict[str, _Series]:
    start, end = _window(facts)
    found: dict[str, _Series] = {}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=list(queries), StartTime=start, EndTime=end
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            points = zip(result["Timestamps"], result["Values"], strict=True)
            series = found.setdefault(result["Id"], {})
            series.update((at.astimezone(UTC), value) for at, value in points)
    return found


def _window(facts: Facts) -> tuple[datetime, datetime]:
    """From a little before the first weight to a little after the way back, in whole periods."""
    end = facts.ended_at + _AFTER
    start = max(facts.since - _BEFORE, end - _LONGEST)
    return start - timedelta(seconds=start.timestamp() % facts.period_seconds), end

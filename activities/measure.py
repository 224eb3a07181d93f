"""Measure: what both versions answered, bucket by bucket, as CloudWatch has it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from activities.inputs import StepInput
from release.alarms import metrics_namespace
from release.sequential import CRASHED, FAILED, SLOW, VERY_SLOW, Pair, route_metric


class Bucket(NamedTuple):
    """A closed stretch of time; only what happened in it is judged, and only once."""

    start: datetime
    pairs: dict[str, Pair]  # by metric


class _Stat(NamedTuple):
    metric: str  # of the test
    events: bool  # or all requests
    source: str  # an entry of _SOURCES
    stat: str
    route: str = ""


class Measure:
    """Reads the buckets that have closed since the last look."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def answers(self, order: StepInput, since: datetime, now: datetime) -> list[Bucket]:
        """The service's own counts: the fast path, written with every request."""
        return self._read(order, _answer_stats(order), order.bucket_seconds, since, now)

    def crashes(self, order: StepInput, since: datetime, now: datetime) -> list[Bucket]:
        """Lambda's counts: a handler that crashes writes no metric of its own."""
        return self._read(order, _CRASHES, order.crash_bucket_seconds, since, now)

    def _read(
        self, order: StepInput, stats: list[_Stat], seconds: int, since: datetime, now: datetime
    ) -> list[Bucket]:
        end = floor(now - timedelta(seconds=delay(seconds)), seconds)
        if end <= since:
            return []
        versions = {"c": order.watched.canary, "b": order.baseline}
        queries = [
            _query(f"{key}{number}", order, version, stat, seconds)
            for number, stat in enumerate(stats)
            for key, version in versions.items()
        ]
        found = self._series(queries, since, end)
        starts = [since + timedelta(seconds=n) for n in range(0, _seconds(end - since), seconds)]
        return [Bucket(start, _pairs(stats, found, start)) for start in starts]

    def _series(
        self, queries: list[dict[str, Any]], start: datetime, end: datetime
    ) -> dict[str, dict[datetime, float]]:
        found: dict[str, dict[datetime, float]] = {}
        pages: Iterator[Any] = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                points = zip(result["Timestamps"], result["Values"], strict=True)
                found.setdefault(result["Id"], {}).update(
                    (at.astimezone(UTC), value) for at, value in points
                )
        return found


def floor(moment: datetime, seconds: int) -> datetime:
    """The edge of the bucket that the moment lies in."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def delay(bucket_seconds: int) -> float:
    """Seconds after its end at which a bucket closes: what is late is not judged.

    High-resolution metrics were seen within seconds; Lambda's own come with their minute, and are
    dated by the invocation's start.
    """
    if bucket_seconds >= 60:
        return 75
    return 5 if bucket_seconds >= 5 else 2.5


def _answer_stats(order: StepInput) -> list[_Stat]:
    stats = [
        _Stat(FAILED.name, False, "Requests", "Sum"),
        _Stat(FAILED.name, True, "ServerErrors", "Sum"),
    ]
    for route in order.shift.routes:
        name = route_metric(route)
        stats.append(_Stat(name, False, "Requests", "Sum", route))
        stats.append(_Stat(name, True, "ServerErrors", "Sum", route))
    for metric, above in zip((SLOW, VERY_SLOW), order.slow_ms or (), strict=False):
        stats.append(_Stat(metric.name, False, "WarmLatency", "SampleCount"))
        stats.append(_Stat(metric.name, True, "WarmLatency", f"TC({above:g}:)"))
    return stats


# a throttled request is no invocation
_CRASHES = [
    _Stat(CRASHED.name, False, "Invocations", "Sum"),
    _Stat(CRASHED.name, False, "Throttles", "Sum"),
    _Stat(CRASHED.name, True, "Errors", "Sum"),
    _Stat(CRASHED.name, True, "Throttles", "Sum"),
]
_LAMBDA = {"Invocations", "Errors", "Throttles"}


def _query(
    identity: str, order: StepInput, version: str, stat: _Stat, seconds: int
) -> dict[str, Any]:
    function = order.watched.function
    dimensions = {"FunctionName": function, "ExecutedVersion": version}
    if stat.source in _LAMBDA:
        dimensions["Resource"] = f"{function}:{order.expected.alias}"
    if stat.route:
        dimensions["route"] = stat.route
    own = metrics_namespace(order.watched.service)
    return {
        "Id": identity,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda" if stat.source in _LAMBDA else own,
                "MetricName": stat.source,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
            },
            "Period": seconds,
            "Stat": stat.stat,
        },
    }


def _pairs(
    stats: list[_Stat], found: dict[str, dict[datetime, float]], start: datetime
) -> dict[str, Pair]:
    sums: dict[str, dict[tuple[str, bool], int]] = {}
    for number, stat in enumerate(stats):
        for key in "cb":
            value = round(found.get(f"{key}{number}", {}).get(start, 0))
            counts = sums.setdefault(stat.metric, dict.fromkeys(_KEYS, 0))
            counts[key, stat.events] += value
    return {metric: Pair(*(counts[key] for key in _KEYS)) for metric, counts in sums.items()}


_KEYS = (("c", False), ("b", False), ("c", True), ("b", True))  # the order of Pair's fields


def _seconds(time: timedelta) -> int:
    return round(time.total_seconds())

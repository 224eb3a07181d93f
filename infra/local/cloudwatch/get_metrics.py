"""The calls that read metrics: GetMetricData, GetMetricStatistics and ListMetrics."""

import math
import time
from typing import Any

from infra.local.cloudwatch.errors import (
    InvalidNextTokenError,
    InvalidParameterCombinationError,
    InvalidParameterValueError,
    MissingParameterError,
    ValidationError,
)
from infra.local.cloudwatch.queries import Queries, check_period
from infra.local.cloudwatch.statistics import Aggregate, is_extended, statistic
from infra.local.cloudwatch.store import Metric, Store

Params = dict[str, Any]
_MOST_POINTS, _METRICS_PAGE = 1440, 500


def get_metric_data(store: Store, params: Params) -> Params:
    """All points at once: no answer has so many that AWS would page it."""
    start, end = _range(params, ValidationError)
    if "NextToken" in params:
        raise InvalidNextTokenError("There are no further pages.")
    order = params.get("ScanBy", "TimestampDescending")
    results = []
    for query, many in Queries(store, params["MetricDataQueries"], start, end).returned():
        for series in many:
            points = sorted(
                ((at, value) for at, value in series.points.items() if at < end),
                reverse=order == "TimestampDescending",
            )
            label = query.get("Label") or series.label or _label(query)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": label,
                    "Timestamps": [at for at, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results, "Messages": []}


def _label(query: Params) -> str:
    return str(
        query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    )


def _range(params: Params, error: type[Exception]) -> tuple[int, int]:
    start, end = params["StartTime"], params["EndTime"]
    if start >= end:
        raise error("The parameter StartTime must be less than the parameter EndTime.")
    return int(start), math.ceil(end)


def get_metric_statistics(store: Store, params: Params) -> Params:
    """In the order of time, which AWS does not promise."""
    start, end = _range(params, InvalidParameterCombinationError)
    period = params["Period"]
    named, extended = params.get("Statistics", []), params.get("ExtendedStatistics", [])
    _check_statistics(named, extended, period)
    if (end - start) / period > _MOST_POINTS:
        raise InvalidParameterCombinationError(
            f"You have requested up to {(end - start) // period:,} datapoints, which exceeds the"
            f" limit of {_MOST_POINTS:,}."
        )
    metric = Metric.of(params["Namespace"], params["MetricName"], params.get("Dimensions", []))
    unit = params.get("Unit")
    found = store.aggregates(metric, start - start % period, end + -end % period, period, unit)
    shown_unit = unit or store.unit_of(metric)
    points = [
        {"Timestamp": at, "Unit": shown_unit}
        | _read(samples, named)
        | ({"ExtendedStatistics": _read(samples, extended)} if extended else {})
        for at, samples in sorted(found.items())
    ]
    return {"Label": params["MetricName"], "Datapoints": points}


def _check_statistics(named: list[str], extended: list[str], period: int) -> None:
    if not named and not extended:
        raise MissingParameterError("Statistics or ExtendedStatistics must be specified.")
    for name in (*named, *extended):
        if statistic(name) is None or is_extended(name) != (name in extended):
            raise InvalidParameterValueError(f"The value {name} is not a supported statistic.")
    try:
        check_period(period)
    except ValidationError as error:
        raise InvalidParameterValueError(error.message) from None


def _read(samples: Aggregate, names: list[str]) -> dict[str, float]:
    readers = {name: read for name in names if (read := statistic(name))}
    values = {name: read(samples) for name, read in readers.items()}
    return {name: value for name, value in values.items() if value is not None}


def list_metrics(store: Store, params: Params) -> Params:
    """In the order in which the metrics were first put."""
    token = params.get("NextToken", "0")
    if not token.isdecimal():
        raise InvalidNextTokenError("The NextToken is not valid.")
    active_since = time.time() - 3 * 3600 if "RecentlyActive" in params else None
    page: list[Params] = []
    last = 0
    for number, metric in store.metrics(int(token), active_since):
        if _listed(metric, params):
            if len(page) == _METRICS_PAGE:
                return {"Metrics": page, "NextToken": str(last)}
            page.append(metric.api())
            last = number
    return {"Metrics": page}


def _listed(metric: Metric, params: Params) -> bool:
    wanted = params.get("Dimensions", [])
    held = dict(metric.dimensions)
    return (
        params.get("Namespace", metric.namespace) == metric.namespace
        and params.get("MetricName", metric.name) == metric.name
        and all(
            w["Name"] in held and w.get("Value", held[w["Name"]]) == held[w["Name"]] for w in wanted
        )
    )

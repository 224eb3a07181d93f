"""PutMetricData: what a datum may be, and what is kept of it."""

import math
import time
from typing import Any

from infra.local.cloudwatch.errors import (
    InvalidParameterCombinationError,
    InvalidParameterValueError,
    MissingParameterError,
)
from infra.local.cloudwatch.statistics import Aggregate
from infra.local.cloudwatch.store import Datum, Metric, Store

Params = dict[str, Any]
_MOST_DATA, _MOST_VALUES, _MOST_DIMENSIONS = 1000, 150, 30  # of one request, datum, metric
_LARGEST = 2.0**360
_FUTURE, _PAST = 2 * 3600, 14 * 24 * 3600  # seconds around now that a timestamp may lie in


def put_metric_data(store: Store, params: Params) -> Params:
    """Every datum is stored, or none."""
    namespace, data = params["Namespace"], params.get("MetricData", [])
    if not data:
        raise MissingParameterError("The parameter MetricData is required.")
    _at_most(_MOST_DATA, data, "MetricData")
    now = time.time()
    store.put(
        [_datum(namespace, d, f"MetricData.member.{i}", now) for i, d in enumerate(data, start=1)]
    )
    return {}


def _datum(namespace: str, datum: Params, path: str, now: float) -> Datum:
    dimensions = datum.get("Dimensions", [])
    _at_most(_MOST_DIMENSIONS, dimensions, f"{path}.Dimensions")
    resolution = datum.get("StorageResolution", 60)
    if resolution not in (1, 60):
        raise InvalidParameterValueError(f"The parameter {path}.StorageResolution must be 1 or 60.")
    at = datum.get("Timestamp", now)
    if not now - _PAST <= at <= now + _FUTURE:
        raise InvalidParameterValueError(
            f"The parameter {path}.Timestamp must specify a time within the past two weeks and no"
            " more than two hours in the future."
        )
    metric = Metric.of(namespace, datum["MetricName"], dimensions)
    start = int(at) - int(at) % resolution
    return Datum(metric, start, datum.get("Unit", "None"), _samples(datum, path))


def _samples(datum: Params, path: str) -> Aggregate:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if not given:
        raise MissingParameterError(f"At least one of the values of {path} must be specified.")
    if len(given) > 1:
        raise InvalidParameterCombinationError(
            f"The parameters {path}.{given[0]} and {path}.{given[1]} are mutually exclusive and"
            " you have specified both."
        )
    if "StatisticValues" in datum:
        names = ("SampleCount", "Sum", "Minimum", "Maximum")
        numbers = [_number(datum["StatisticValues"][name], f"{path}.{name}") for name in names]
        return Aggregate.of_set(*numbers)
    values = datum.get("Values", [datum.get("Value")])
    counts = datum.get("Counts", [1] * len(values))
    _at_most(_MOST_VALUES, values, f"{path}.Values")
    if not values or len(values) != len(counts):
        raise InvalidParameterValueError(
            f"{path} must have as many Counts as Values, and at least one."
        )
    return Aggregate.of_values(
        [_number(value, f"{path}.Value") for value in values],
        [_number(count, f"{path}.Counts", least=0.0) for count in counts],
    )


def _number(value: Any, path: str, least: float = -_LARGEST) -> float:
    number = float(value)
    if not (math.isfinite(number) and least <= number <= _LARGEST):
        raise InvalidParameterValueError(f"The value {value} for parameter {path} is invalid.")
    return number


def _at_most(limit: int, items: list[Any], path: str) -> None:
    if len(items) > limit:
        raise InvalidParameterValueError(
            f"The collection {path} must not have a size greater than {limit}."
        )

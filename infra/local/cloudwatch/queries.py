"""Evaluates `MetricDataQueries`, for GetMetricData and for alarms alike."""

import re
from dataclasses import replace
from typing import Any

from infra.local.cloudwatch.errors import ValidationError
from infra.local.cloudwatch.metric_math import MetricMath
from infra.local.cloudwatch.series import Series
from infra.local.cloudwatch.statistics import Aggregate, statistic
from infra.local.cloudwatch.store import Metric, Store

_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
HIGH_RESOLUTION_PERIODS = (1, 5, 10, 20, 30)  # seconds; else a multiple of 60


class Queries:
    """The queries of one request, over one range of time; each is evaluated once.

    Raises ValidationError at construction or evaluation for what AWS would not accept.
    """

    def __init__(self, store: Store, queries: list[dict[str, Any]], start: int, end: int) -> None:
        self._store, self._start, self._end = store, start, end
        self._by_id = {query["Id"]: query for query in queries}
        self._series: dict[str, list[Series]] = {}
        self._open: list[str] = []
        self._read: dict[tuple[Metric, int, str | None], dict[int, Aggregate]] = {}
        if len(self._by_id) < len(queries):
            raise ValidationError(
                "The values for parameter id in MetricDataQueries are not unique."
            )
        for query in queries:
            _check(query)

    def returned(self) -> list[tuple[dict[str, Any], list[Series]]]:
        """The queries whose data is asked for, in their order."""
        asked = [query for query in self._by_id.values() if query.get("ReturnData", True)]
        return [(query, self._evaluate(query["Id"])) for query in asked]

    def _evaluate(self, name: str) -> list[Series]:
        if name not in self._by_id:
            raise ValidationError(f"Undefined variable {name} in an expression")
        if name in self._open:
            raise ValidationError(f"The expression {name} depends on itself")
        if name not in self._series:
            self._open.append(name)
            self._series[name] = self._compute(self._by_id[name])
            self._open.pop()
        return self._series[name]

    def _compute(self, query: dict[str, Any]) -> list[Series]:
        if "MetricStat" in query:
            return [self._measured(query["MetricStat"])]
        math = MetricMath(
            query["Expression"], self._operand, self._measured_metrics, self._start, self._end
        )
        return math.series()

    def _operand(self, name: str) -> Series | list[Series]:
        series = self._evaluate(name)
        return series[0] if len(series) == 1 else series

    def _measured_metrics(self) -> dict[str, Series]:
        names = [name for name, query in self._by_id.items() if "MetricStat" in query]
        labels = {name: self._by_id[name].get("Label", name) for name in names}
        return {name: replace(self._evaluate(name)[0], label=labels[name]) for name in names}

    def _measured(self, stat: dict[str, Any]) -> Series:
        read, period = statistic(stat["Stat"]), stat["Period"]
        if read is None:
            raise ValidationError(f"The value {stat['Stat']} for parameter Stat is not supported.")
        metric = stat["Metric"]
        found = self._aggregates(
            Metric.of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", [])),
            period,
            stat.get("Unit"),
        )
        points = ((at, read(samples)) for at, samples in sorted(found.items()))
        return Series(period, {at: value for at, value in points if value is not None})

    def _aggregates(self, metric: Metric, period: int, unit: str | None) -> dict[int, Aggregate]:
        # A histogram is many statistics of one metric: its samples are read once for all.
        key = (metric, period, unit)
        if key not in self._read:
            start, end = self._start - self._start % period, self._end + -self._end % period
            self._read[key] = self._store.aggregates(metric, start, end, period, unit)
        return self._read[key]


def _check(query: dict[str, Any]) -> None:
    if not _ID.fullmatch(query["Id"]):
        raise ValidationError(f"The value {query['Id']} for parameter Id is not a valid query Id.")
    if ("MetricStat" in query) == ("Expression" in query):
        raise ValidationError(f"Query {query['Id']} needs either MetricStat or Expression.")
    if "MetricStat" in query:
        check_period(query["MetricStat"]["Period"])


def check_period(period: int, allowed: tuple[int, ...] = HIGH_RESOLUTION_PERIODS) -> None:
    """Raises ValidationError when a period is neither allowed nor a multiple of 60."""
    if period not in allowed and (period < 60 or period % 60):
        named = ", ".join(map(str, allowed))
        raise ValidationError(f"Period must be {named} or a multiple of 60.")

"""CloudWatch's numbers of one metric over a span of time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Metric:
    """A metric by its exact set of dimensions."""

    namespace: str
    name: str
    dimensions: dict[str, str]

    @classmethod
    def of(cls, described: dict[str, Any]) -> "Metric":
        """From the API's form."""
        dimensions = {pair["Name"]: pair["Value"] for pair in described.get("Dimensions", [])}
        return cls(described["Namespace"], described["MetricName"], dimensions)

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class MetricReader:
    """Reads statistics since a moment, in whole periods."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def values(
        self,
        metric: Metric,
        since: datetime,
        *statistics: str,
        period: timedelta = _MINUTE,
        until: datetime | None = None,
    ) -> list[dict[str, float]]:
        """Each period that has data, oldest first: statistic → value."""
        by_time = self.by_time(metric, since, *statistics, period=period, until=until)
        return [by_time[at] for at in sorted(by_time)]

    def by_time(
        self,
        metric: Metric,
        since: datetime,
        *statistics: str,
        period: timedelta = _MINUTE,
        until: datetime | None = None,
    ) -> dict[datetime, dict[str, float]]:
        """The same by each period's begin; the first begins before `since`, unless on its edge."""
        seconds = int(period.total_seconds())
        start = datetime.fromtimestamp(since.timestamp() // seconds * seconds, UTC)
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=[
                _query(f"s{number}", metric, statistic, seconds)
                for number, statistic in enumerate(statistics)
            ],
            StartTime=start,
            EndTime=until or datetime.now(UTC) + period,
            ScanBy="TimestampAscending",
        )
        by_time: dict[datetime, dict[str, float]] = {}
        for result in answer["MetricDataResults"]:
            statistic = statistics[int(result["Id"][1:])]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                by_time.setdefault(at, {})[statistic] = value
        return by_time

    def total(self, metric: Metric, since: datetime, statistic: str = "Sum") -> float:
        """Over all periods: of `Sum` or `SampleCount`; nothing there is 0."""
        return sum(value[statistic] for value in self.values(metric, since, statistic))


def _query(name: str, metric: Metric, statistic: str, seconds: int) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in metric.dimensions.items()]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": dimensions,
            },
            "Period": seconds,
            "Stat": statistic,
        },
    }

"""Metric values gathered by second and written as PutMetricData's datums."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

# PutMetricData's own limits.
VALUES_PER_DATUM = 150
DATUMS_PER_CALL = 1000
STANDARD_RESOLUTION = 60  # seconds: what AWS keeps Lambda's and API Gateway's metrics by

Dimensions = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One value of one metric; samples that share all but the value become one datum."""

    namespace: str
    dimensions: Dimensions
    name: str
    unit: str
    second: int  # epoch
    resolution: int  # seconds to which CloudWatch keeps it: 1 or 60
    value: float


@dataclass(frozen=True, slots=True)
class InvocationRecord:
    """One invocation of a function, or one that was throttled (no duration)."""

    function: str
    qualifier: str | None
    executed_version: str | None  # set where the qualifier is an alias
    started: float
    duration_ms: float | None
    failed: bool
    concurrent: int

    def samples(self) -> Iterable[Sample]:
        """The AWS/Lambda metrics; a throttled request is no invocation, as on AWS."""
        values = [("Throttles", "Count", 0.0 if self.duration_ms is not None else 1.0)]
        if self.duration_ms is not None:
            values += [
                ("Invocations", "Count", 1.0),
                ("Errors", "Count", float(self.failed)),
                ("Duration", "Milliseconds", round(self.duration_ms, 2)),
                ("ConcurrentExecutions", "Count", float(self.concurrent)),
            ]
        second, kept = int(self.started), STANDARD_RESOLUTION
        for dimensions in self._dimension_sets():
            for name, unit, value in values:
                yield Sample("AWS/Lambda", dimensions, name, unit, second, kept, value)

    def _dimension_sets(self) -> list[Dimensions]:
        sets: list[Dimensions] = [(("FunctionName", self.function),)]
        if self.qualifier is not None:
            sets.append((*sets[0], ("Resource", f"{self.function}:{self.qualifier}")))
        if self.executed_version is not None:
            sets.append((*sets[1], ("ExecutedVersion", self.executed_version)))
        return sets


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One HTTP request that an environment's API has answered."""

    api_id: str
    started: float
    status: int
    latency_ms: float
    integration_latency_ms: float | None  # None where no function was asked

    def samples(self) -> Iterable[Sample]:
        """The AWS/ApiGateway metrics of an HTTP API, stage `$default`."""
        values = [
            ("Count", "Count", 1.0),
            ("4xx", "Count", float(400 <= self.status < 500)),
            ("5xx", "Count", float(self.status >= 500)),
            ("Latency", "Milliseconds", round(self.latency_ms, 2)),
        ]
        if self.integration_latency_ms is not None:
            latency = round(self.integration_latency_ms, 2)
            values.append(("IntegrationLatency", "Milliseconds", latency))
        api = ("ApiId", self.api_id)
        second, kept = int(self.started), STANDARD_RESOLUTION
        for dimensions in ((api,), (api, ("Stage", "$default"))):
            for name, unit, value in values:
                yield Sample("AWS/ApiGateway", dimensions, name, unit, second, kept, value)


def datums(samples: Iterable[Sample]) -> list[tuple[str, dict[str, Any]]]:
    """Each namespace with a datum: the samples by second, equal values counted once."""
    counts: defaultdict[tuple[Any, ...], Counter[float]] = defaultdict(Counter)
    for sample in samples:
        counts[sample[:-1]][sample.value] += 1
    written = []
    for (namespace, dimensions, name, unit, second, resolution), counter in counts.items():
        distinct = list(counter.items())
        for start in range(0, len(distinct), VALUES_PER_DATUM):
            part = distinct[start : start + VALUES_PER_DATUM]
            datum: dict[str, Any] = {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                "Timestamp": datetime.fromtimestamp(second, UTC),
                "Unit": unit,
                "Values": [value for value, _ in part],
                "Counts": [float(count) for _, count in part],
            }
            if resolution != STANDARD_RESOLUTION:
                datum["StorageResolution"] = resolution
            written.append((namespace, datum))
    return written

"""CloudWatch's embedded metric format: a JSON log line that is metrics too."""

import json
import time
from collections.abc import Iterator
from typing import Any

from infra.local.front_door.metrics import STANDARD_RESOLUTION, Dimensions, Sample


def embedded_samples(line: str) -> list[Sample]:
    """The metrics in a log line; none where the line is not, or not well-formed, EMF."""
    if not (line.startswith("{") and '"CloudWatchMetrics"' in line):
        return []
    try:
        document = json.loads(line)
        return list(_samples(document))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return []


def _samples(document: dict[str, Any]) -> Iterator[Sample]:
    header = document["_aws"]
    second = int(header.get("Timestamp", time.time() * 1000)) // 1000
    for directive in header["CloudWatchMetrics"]:
        namespace = directive["Namespace"]
        for names in directive.get("Dimensions") or [[]]:
            dimensions: Dimensions = tuple((name, str(document[name])) for name in names)
            for metric in directive.get("Metrics", []):
                name, unit = metric["Name"], metric.get("Unit", "None")
                kept = 1 if metric.get("StorageResolution") == 1 else STANDARD_RESOLUTION
                for value in _values(document.get(name)):
                    yield Sample(namespace, dimensions, name, unit, second, kept, value)


def _values(found: Any) -> list[float]:
    values = found if isinstance(found, list) else [found]
    return [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]

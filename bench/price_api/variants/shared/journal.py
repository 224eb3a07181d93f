"""The one log line of a request with its metrics (CloudWatch embedded metric format)."""

import json
import os
import time
from typing import Any

FUNCTION = {
    "FunctionName": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
    "ExecutedVersion": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
}
METRICS = {"Requests": "Count", "ServerErrors": "Count", "ClientErrors": "Count"}
METRICS |= {"Latency": "Milliseconds"}


def write(event: dict[str, Any], route: str, status: int, started: float) -> None:
    """The line stands on stdout; `started` is of `time.perf_counter()`."""
    now = time.time()
    duration_ms = round((time.perf_counter() - started) * 1000, 3)
    metrics = [{"Name": name, "Unit": unit} for name, unit in METRICS.items()]
    directive = {"Namespace": "CryptoWatch", "Dimensions": [[*FUNCTION]], "Metrics": metrics}
    line = {
        "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
        **FUNCTION,
        "Requests": 1,
        "ServerErrors": int(status >= 500),
        "ClientErrors": int(400 <= status < 500),
        "Latency": duration_ms,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "level": level_of(status),
        "event": "request",
        "environment": os.environ["ENVIRONMENT"],
        "requestId": event["requestContext"]["requestId"],
        "method": event["requestContext"]["http"]["method"],
        "route": route,
        "status": status,
        "durationMs": duration_ms,
        "functionVersion": FUNCTION["ExecutedVersion"],
        "apiKey": mask(event["headers"].get("x-api-key")),
    }
    print(json.dumps(line))


def level_of(status: int) -> str:
    """The log level of an answer."""
    return "error" if status >= 500 else "warning" if status >= 400 else "info"


def mask(key: str | None) -> str | None:
    """A form of the key that may be logged."""
    if not key:
        return None
    return f"{key[:8]}****{key[-4:]}" if key.startswith("cw_test_") else "****"

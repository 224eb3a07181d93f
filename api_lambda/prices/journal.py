"""The one log line of a request, which is its metrics too (CloudWatch embedded metric format)."""

import json
import sys
import time
from typing import Any

from answers import rfc3339
from auth import mask
from variables import Settings

NAMESPACE = "CryptoWatch"
COLD_INVOCATIONS = 3
"""The first ones of an execution environment, whose latency is apart from the others': they load
the code, open connections and fill memory."""


def _definition(name: str, unit: str = "Count") -> dict[str, Any]:
    # 1: stored by the second, so that a release can count every 5 s
    return {"Name": name, "Unit": unit, "StorageResolution": 1}


def _directives(*latencies: str) -> str:
    """The members of `CloudWatchMetrics`: a version's metrics, and its counts by route."""
    counts = [_definition(name) for name in ("Requests", "ServerErrors", "ClientErrors")]
    version = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName", "ExecutedVersion"]],
        "Metrics": counts + [_definition(name, "Milliseconds") for name in latencies],
    }
    by_route = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName", "ExecutedVersion", "route"]],
        "Metrics": counts[:2],
    }
    return json.dumps([version, by_route], separators=(",", ":"))


# Two texts: what a line defines it must have. Made once, as to write them takes about as long as to
# write the rest of the line.
COLD_METRICS = _directives("Latency", "StoreLatency")
WARM_METRICS = _directives("Latency", "StoreLatency", "WarmLatency")


class Entry:
    """What is known of a request so far; written once, when it is answered."""

    def __init__(self, request_id: str, method: str, key: str, warm: bool) -> None:
        self.started = time.perf_counter()
        self.request_id = request_id
        self.method = method
        self.route = "none"
        self.cause: BaseException | None = None
        self.store_ms = 0.0
        self._key = key
        self._warm = warm

    def write(self, settings: Settings, status: int) -> None:
        """The line stands on stdout."""
        print(self.line(settings, status), file=sys.stdout, flush=True)

    def line(self, settings: Settings, status: int) -> str:
        """The line. The route is a template, so no part of the client's path is in it."""
        now = time.time()
        duration_ms = round((time.perf_counter() - self.started) * 1000, 3)
        fields: dict[str, Any] = {
            "FunctionName": settings.function_name,
            "ExecutedVersion": settings.function_version,
            "Requests": 1,
            "ServerErrors": int(status >= 500),
            "ClientErrors": int(400 <= status < 500),
            "Latency": duration_ms,
            "StoreLatency": round(self.store_ms, 3),
            "timestamp": rfc3339(now),
            "level": "error" if status >= 500 else "warning" if status >= 400 else "info",
            "event": "request",
            "environment": settings.environment,
            "requestId": self.request_id,
            "method": self.method,
            "route": self.route,
            "status": status,
            "durationMs": duration_ms,
            "functionVersion": settings.function_version,
            "apiKey": mask(self._key) if self._key else None,
        }
        if self._warm:
            fields["WarmLatency"] = duration_ms
        if self.cause is not None:
            fields["exception"] = self._exception(self.cause)
        metrics = WARM_METRICS if self._warm else COLD_METRICS
        header = f'{{"Timestamp":{int(now * 1000)},"CloudWatchMetrics":{metrics}}}'
        return f'{{"_aws":{header},{json.dumps(fields, separators=(",", ":"))[1:]}'

    def _exception(self, cause: BaseException) -> dict[str, str]:
        import traceback  # here: only an error needs it, and a cold start would wait for it

        stack = "".join(traceback.format_exception(cause))
        return {
            "type": type(cause).__name__,
            "message": self._without_key(str(cause)),
            "stack": self._without_key(stack),
        }

    def _without_key(self, text: str) -> str:
        # An exception's message may quote what the client sent.
        return text.replace(self._key, mask(self._key)) if self._key else text

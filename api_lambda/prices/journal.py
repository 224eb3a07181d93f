"""The one log line of a request, which is its metrics too (CloudWatch embedded metric format)."""

import json
import sys
import time
from typing import Any

from answers import rfc3339
from auth import mask
from variables import Settings

METRICS = {
    "Namespace": "CryptoWatch",
    "Dimensions": [["FunctionName", "ExecutedVersion"]],
    "Metrics": [
        {"Name": "Requests", "Unit": "Count"},
        {"Name": "ServerErrors", "Unit": "Count"},
        {"Name": "ClientErrors", "Unit": "Count"},
        {"Name": "Latency", "Unit": "Milliseconds"},
        {"Name": "StoreLatency", "Unit": "Milliseconds"},
    ],
}


class Entry:
    """What is known of a request so far; written once, when it is answered."""

    def __init__(self, request_id: str, method: str, key: str) -> None:
        self.started = time.perf_counter()
        self.request_id = request_id
        self.method = method
        self.route = "none"
        self.cause: BaseException | None = None
        self.store_ms = 0.0
        self._key = key

    def write(self, settings: Settings, status: int) -> None:
        """The line stands on stdout."""
        print(self.line(settings, status), file=sys.stdout, flush=True)

    def line(self, settings: Settings, status: int) -> str:
        """The line. The route is a template, so no part of the client's path is in it."""
        now = time.time()
        duration_ms = round((time.perf_counter() - self.started) * 1000, 3)
        fields: dict[str, Any] = {
            "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [METRICS]},
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
        if self.cause is not None:
            fields["exception"] = self._exception(self.cause)
        return json.dumps(fields, separators=(",", ":"))

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

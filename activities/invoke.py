"""One version of a function, invoked by its number: no alias, no user, no HTTP in between."""

import base64
import json
import re
import time
from typing import Any, NamedTuple

import httpx

from activities.http_event import http_answer, http_event

DRY_RUN = {"dryRun": True}
"""The event of a function with `dry_run`: it does its work and changes nothing."""

_INIT = re.compile(r'(?:Init Duration: |"initDurationMs":\s*)(\d+(?:\.\d+)?)')


class Invoked(NamedTuple):
    """What one invocation came to."""

    payload: str
    failed: bool
    milliseconds: float
    init_ms: float | None  # None where an instance was warm, or the log does not say

    @property
    def failure(self) -> str:
        """Lambda's words for a function error; empty without one."""
        return f"function error: {self.payload[:300]}" if self.failed else ""


def invoke(lambda_: Any, function: str, version: str, event: dict[str, Any]) -> Invoked:
    """The version has answered, or failed: a function error is an answer too.

    Raises:
        ClientError, BotoCoreError: it could not be invoked.
    """
    begin = time.perf_counter()
    answer = lambda_.invoke(
        FunctionName=function,
        Qualifier=version,
        LogType="Tail",
        Payload=json.dumps(event).encode(),
    )
    payload = answer["Payload"].read().decode(errors="replace")
    milliseconds = (time.perf_counter() - begin) * 1000
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    init = _INIT.search(log)
    return Invoked(
        payload, "FunctionError" in answer, milliseconds, float(init[1]) if init else None
    )


class InvokeTransport(httpx.BaseTransport):
    """An httpx client with it speaks to one version of a function, past API Gateway.

    A function error becomes API Gateway's 500, and `invoked` keeps what it was.
    """

    def __init__(self, lambda_: Any, function: str, version: str) -> None:
        self.function = function
        self.version = version
        self._lambda = lambda_
        self.invoked: list[Invoked] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The version's answer to the request."""
        path, _, query = request.url.raw_path.decode().partition("?")
        event = http_event(request.method, path, query, request.headers)
        invoked = invoke(self._lambda, self.function, self.version, event)
        self.invoked.append(invoked)
        if invoked.failed:
            return httpx.Response(500, json={"message": "Internal Server Error"})
        return http_answer(invoked.payload)

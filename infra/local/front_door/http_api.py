"""One environment's HTTP API: every request to the alias `live` of its API function.

The answer carries `x-executed-version`, a local aid: on AWS an HTTP client never learns which
version served it.
"""

import json
import logging
import time
import uuid

from infra.local.front_door.asgi import Receive, Scope, Send, answer, read_body
from infra.local.front_door.data_plane import DataPlane
from infra.local.front_door.http_event import INTERNAL_ERROR, Response, event_of, response_of
from infra.local.front_door.metrics import RequestRecord
from infra.local.front_door.model import LambdaError
from infra.local.front_door.telemetry import Telemetry

_log = logging.getLogger(__name__)

# An event may have 6 MB; in base64 a body grows by a third.
_MAX_BODY_BYTES = 4_500_000
_TOLD = 500  # bytes of a failure
_JSON = [(b"content-type", b"application/json")]
_MESSAGES = {400: "Bad Request", 413: "Request Entity Too Large", 429: "Service Unavailable"}


class HttpApi:
    """The ASGI application behind one listener."""

    def __init__(
        self, data_plane: DataPlane, telemetry: Telemetry, *, api_id: str, function: str
    ) -> None:
        self._data_plane = data_plane
        self._telemetry = telemetry
        self._api_id = api_id
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        started, clock = time.time(), time.perf_counter()
        request_id = str(uuid.uuid4())
        integration_ms: float | None = None
        try:
            body = await read_body(receive, _MAX_BODY_BYTES)
            event = event_of(scope, body, self._api_id, request_id, started)
            payload = json.dumps(event, separators=(",", ":")).encode()
            asked = time.perf_counter()
            try:
                response = await self._ask(payload)
            finally:
                integration_ms = (time.perf_counter() - asked) * 1000
        except LambdaError as error:
            response = _refusal(error)
            if response.status == 500:
                _log.warning("request %s: %s", request_id, error.message)
        headers = [*response.headers, (b"apigw-requestid", request_id.encode())]
        await answer(send, response.status, headers, response.body)
        latency_ms = (time.perf_counter() - clock) * 1000
        self._telemetry.requests.append(
            RequestRecord(self._api_id, started, response.status, latency_ms, integration_ms)
        )

    async def _ask(self, payload: bytes) -> Response:
        invoked = await self._data_plane.invoke(self._function, "live", payload)
        if invoked.outcome.failed:
            response = Response(500, _JSON, INTERNAL_ERROR)
            told = invoked.outcome.payload[:_TOLD].decode(errors="replace")
            _log.warning("%s failed: %s", self._function, told)
        else:
            response = response_of(invoked.outcome.payload)
            if response.body == INTERNAL_ERROR:
                _log.warning("%s gave an answer that is none for HTTP", self._function)
        version = (b"x-executed-version", invoked.version.encode())
        return response._replace(headers=[*response.headers, version])


def _refusal(error: LambdaError) -> Response:
    """API Gateway's answer where the function was not run: 503 for a throttle, else 500."""
    if error.status not in _MESSAGES:
        return Response(500, _JSON, INTERNAL_ERROR)
    status = 503 if error.status == 429 else error.status
    return Response(status, _JSON, json.dumps({"message": _MESSAGES[error.status]}).encode())

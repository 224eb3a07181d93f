"""The Lambda endpoint: Invoke is served here, every other call by the control plane.

Also `POST /_proxy/<function>/<qualifier>`, by which the control plane's schedules reach our
workers, and `GET /_ready`. Streaming and the old InvokeAsync are not served by the data plane.
"""

import base64
import json
import logging
import re
import uuid
from urllib.parse import parse_qs, unquote

import httpx

from infra.local.front_door.alias_rules import check_alias
from infra.local.front_door.asgi import RawHeaders, Receive, Scope, Send, answer, read_body
from infra.local.front_door.control_plane import ControlPlane
from infra.local.front_door.data_plane import DataPlane, Invoked
from infra.local.front_door.model import LambdaError, parse_reference
from infra.local.front_door.routing import Routing

_log = logging.getLogger(__name__)

_MAX_EVENT_BYTES = 6 * 1024 * 1024
_MAX_FORWARDED_BYTES = 200 * 1024 * 1024
_TAIL_BYTES = 4096
_FUNCTION = re.compile(r"/20\d\d-\d\d-\d\d/functions/([^/]+)(?:/(.*))?")
_ALIASES = re.compile(r"aliases(?:/([^/]+))?")
_JSON = (b"content-type", b"application/json")
_SET_HERE = (b"content-length", b"date")  # by our own server


class LambdaApi:
    """The ASGI application behind `AWS_ENDPOINT_URL_LAMBDA`."""

    def __init__(
        self, data_plane: DataPlane, routing: Routing, control_plane: ControlPlane
    ) -> None:
        self._data_plane = data_plane
        self._routing = routing
        self._control_plane = control_plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one call."""
        try:
            await self._serve(scope, receive, send)
        except LambdaError as error:
            await answer(send, error.status, *_error(error))
        except httpx.HTTPError as error:
            away = LambdaError(500, "ServiceException", f"the control plane is away: {error!r}")
            await answer(send, away.status, *_error(away))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["raw_path"].decode("latin-1"), scope["method"]
        call = _FUNCTION.fullmatch(path)
        if path == "/_ready":
            await answer(send, 200, [_JSON], b"{}")
        elif path.startswith("/_proxy/") and method == "POST":
            await self._proxied(path, receive, send)
        elif call and call[2] == "invocations" and method == "POST":
            await self._invoke(unquote(call[1]), scope, receive, send)
        else:
            await self._forward(call, scope, receive, send)

    async def _invoke(self, reference: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        asked = parse_qs(scope["query_string"].decode()).get("Qualifier", [None])[0]
        function, qualifier = parse_reference(reference, asked)
        payload = _checked(await read_body(receive, _MAX_EVENT_BYTES))
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        request_id = str(uuid.uuid4())
        identity = (b"x-amzn-requestid", request_id.encode())
        if kind == "RequestResponse":
            context = _client_context(headers)
            invoked = await self._data_plane.invoke(
                function, qualifier, payload, context, request_id
            )
            tail = headers.get("x-amz-log-type") == "Tail"
            answered = [*_invoke_headers(invoked, tail=tail), identity]
            await answer(send, 200, answered, invoked.outcome.payload)
        elif kind in ("Event", "DryRun"):
            target = await self._data_plane.resolve(function, qualifier)
            if kind == "Event":
                self._data_plane.invoke_later(target, payload, request_id)
            version = (b"x-amz-executed-version", target.version.version.encode())
            await answer(send, 202 if kind == "Event" else 204, [identity, version], b"")
        else:
            raise LambdaError(400, "ValidationException", f"Invalid invocation type: {kind}")

    async def _proxied(self, path: str, receive: Receive, send: Send) -> None:
        function, _, qualifier = unquote(path.removeprefix("/_proxy/")).partition("/")
        payload = await read_body(receive, _MAX_EVENT_BYTES)
        invoked = await self._data_plane.invoke(function, qualifier or None, payload)
        # The control plane takes any status outside 2xx for a function error.
        status = 500 if invoked.outcome.failed else 200
        await answer(send, status, [_JSON], invoked.outcome.payload)

    async def _forward(
        self, call: re.Match[str] | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        method, body = scope["method"], await read_body(receive, _MAX_FORWARDED_BYTES)
        function = parse_reference(unquote(call[1]), None)[0] if call else None
        alias = _ALIASES.fullmatch(call[2] or "") if call else None
        if function and alias and (method == "PUT") == bool(alias[1]) and method in ("PUT", "POST"):
            await check_alias(self._control_plane, function, alias[1], body)
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        status, headers, content = await self._control_plane.forward(
            method, target, scope["headers"], body
        )
        if function and method not in ("GET", "HEAD"):
            # Before the answer: whoever has it finds the new routing in force.
            await self._routing.after_write(function, deleted=method == "DELETE")
        kept = [header for header in headers if header[0] not in _SET_HERE]
        await answer(send, status, kept, content)


def _checked(payload: bytes) -> bytes:
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        text = f"Could not parse request body into json: {error}"
        raise LambdaError(400, "InvalidRequestContentException", text) from error
    return payload or b"{}"


def _client_context(headers: dict[str, str]) -> dict[str, str]:
    encoded = headers.get("x-amz-client-context")
    if not encoded:
        return {}
    try:
        context = json.dumps(json.loads(base64.b64decode(encoded, validate=True)))
    except ValueError as error:
        text = f"Could not parse the client context: {error}"
        raise LambdaError(400, "InvalidRequestContentException", text) from error
    return {"Lambda-Runtime-Client-Context": context}


def _invoke_headers(invoked: Invoked, *, tail: bool) -> RawHeaders:
    headers = [_JSON, (b"x-amz-executed-version", invoked.version.encode())]
    if invoked.outcome.failed:
        headers.append((b"x-amz-function-error", b"Unhandled"))
    if tail:
        log = "\n".join(invoked.outcome.log_lines).encode() + b"\n"
        headers.append((b"x-amz-log-result", base64.b64encode(log[-_TAIL_BYTES:])))
    return headers


def _error(error: LambdaError) -> tuple[RawHeaders, bytes]:
    body = {"Type": "User" if error.status < 500 else "Service", "Message": error.message}
    if error.reason:
        body["Reason"] = error.reason
    headers = [_JSON, (b"x-amzn-errortype", error.code.encode())]
    return headers, json.dumps(body).encode()

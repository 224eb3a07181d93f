"""An HTTP API's payload format 2.0: the event of a request, the response of an answer."""

import base64
import binascii
import json
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from infra.local.front_door.asgi import RawHeaders, Scope

INTERNAL_ERROR = json.dumps({"message": "Internal Server Error"}).encode()
# A body of another type reaches the function in base64, a form's too.
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
_NOT_THE_FUNCTIONS = frozenset({"connection", "content-length", "transfer-encoding"})


class Response(NamedTuple):
    """What the HTTP client gets."""

    status: int
    headers: RawHeaders
    body: bytes


def event_of(scope: Scope, body: bytes, api_id: str, request_id: str, now: float) -> dict[str, Any]:
    """The event for the `$default` route."""
    headers, cookies = _headers(scope)
    query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1")
    domain = headers.get("host", "127.0.0.1")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api_id,
            "domainName": domain,
            "domainPrefix": domain.split(".")[0],
            "http": {
                "method": scope["method"],
                "path": path,
                "protocol": f"HTTP/{scope['http_version']}",
                "sourceIp": _client(scope),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if body:
        event["body"], event["isBase64Encoded"] = _body(body, headers)
    return event


def response_of(payload: bytes) -> Response:
    """The function's answer, mapped back; one that cannot be mapped is a 500, as on AWS."""
    try:
        document = json.loads(payload)
        if isinstance(document, dict) and "statusCode" in document:
            return _explicit(document)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return Response(500, [(b"content-type", b"application/json")], INTERNAL_ERROR)
    # Without a status code the whole answer is the body.
    body = document.encode() if isinstance(document, str) else payload
    return Response(200, [(b"content-type", b"application/json")], body)


def _explicit(document: dict[str, Any]) -> Response:
    status = int(document["statusCode"])
    if not 200 <= status <= 599:
        raise ValueError(f"status code {status}")
    headers: RawHeaders = []
    for name, value in (document.get("headers") or {}).items():
        if name.lower() not in _NOT_THE_FUNCTIONS:
            headers.append((_line(name.lower()), _line(value)))
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain;charset=UTF-8"))
    for cookie in document.get("cookies") or []:
        headers.append((b"set-cookie", _line(cookie)))
    body = document.get("body") or ""
    if document.get("isBase64Encoded"):
        return Response(status, headers, base64.b64decode(body, validate=True))
    return Response(status, headers, body.encode())


def _line(value: Any) -> bytes:
    """A header's name or value; a line end in it would begin a header of its own."""
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, dict | list) or "\r" in text or "\n" in text:
        raise ValueError("not a header")
    return text.encode("latin-1")


def _headers(scope: Scope) -> tuple[dict[str, str], list[str]]:
    pairs = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in scope["headers"]]
    cookies = [part.strip() for n, v in pairs if n == "cookie" for part in v.split(";")]
    pairs.append(("x-forwarded-for", _client(scope)))
    headers = _joined([pair for pair in pairs if pair[0] != "cookie"])
    headers["x-forwarded-proto"] = scope["scheme"]
    headers["x-forwarded-port"] = str(scope["server"][1])
    return headers, [cookie for cookie in cookies if cookie]


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, headers: dict[str, str]) -> tuple[str, bool]:
    kind = headers.get("content-type", "text/plain").lower()
    if kind.startswith(_TEXT_TYPES) and "content-encoding" not in headers:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "127.0.0.1"

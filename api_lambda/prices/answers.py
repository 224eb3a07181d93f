"""What goes back to the client: bodies, the error format, entity tags, compression."""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

# Below this a compressed body is hardly smaller: one price grows, three shrink by a third.
GZIP_FROM_BYTES = 400
NEVER_STORE = "no-store"


class Answer(NamedTuple):
    """A status, a JSON body and headers (lower-case names), before the client's wishes."""

    status: int
    body: bytes
    headers: dict[str, str]


class ApiError(Exception):
    """A request that ends in an error answer; the text is for the client to read."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.fields = dict(fields or {})


def invalid_request(text: str, **details: Any) -> ApiError:
    """The client must change the request."""
    fields = {"details": details} if details else {}
    return ApiError(400, "INVALID_REQUEST", text, fields=fields)


def unauthorized() -> ApiError:
    """One text for every reason, so that an answer does not tell which keys exist."""
    return ApiError(401, "UNAUTHORIZED", "A valid API key is required in the X-API-Key header.")


def rate_limited(limit: int, retry_after_seconds: int) -> ApiError:
    """The key has used its requests of this minute."""
    return ApiError(
        429,
        "RATE_LIMIT_EXCEEDED",
        f"More than {limit} requests in this minute. Try again in {retry_after_seconds} s.",
        {"retry-after": str(retry_after_seconds)},
        {"retryAfter": retry_after_seconds},
    )


def unavailable(text: str, fields: Mapping[str, Any] | None = None) -> ApiError:
    """The service cannot answer now and may soon."""
    return ApiError(503, "SERVICE_UNAVAILABLE", text, {"retry-after": "5"}, fields)


def internal_error() -> ApiError:
    """The service's own mistake; what it was stands in the log only."""
    return ApiError(500, "INTERNAL_ERROR", "Something went wrong on our side.")


def rfc3339(epoch_seconds: float) -> str:
    """The moment in UTC to the second, as in 2025-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_seconds))


def encode(value: Any) -> bytes:
    """`value` as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def error_answer(error: ApiError, request_id: str, now: float) -> Answer:
    """The error in the format that every error of this service has."""
    body = {
        "error": str(error),
        "code": error.code,
        "timestamp": rfc3339(now),
        "requestId": request_id,
        **error.fields,
    }
    return Answer(error.status, encode(body), {"cache-control": NEVER_STORE, **error.headers})


def to_gateway(answer: Answer, method: str, request_headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer in API Gateway's form, compressed, as 304 or without body where asked for."""
    status, body = answer.status, answer.body
    headers = {"vary": "Accept-Encoding", "x-content-type-options": "nosniff", **answer.headers}
    compressed = _worth_compressing(body, request_headers.get("accept-encoding", ""))
    if status == 200 and headers.get("cache-control") != NEVER_STORE:
        headers["etag"] = _entity_tag(body, "gzip" if compressed else "")
        if _matches(request_headers.get("if-none-match", ""), headers["etag"]):
            return _gateway(304, headers, b"")
    if body:
        headers["content-type"] = "application/json"
    if compressed:
        headers["content-encoding"] = "gzip"
    if method == "HEAD":
        return _gateway(status, headers, b"")
    if compressed:
        return _gateway(status, headers, zlib.compress(body, 6, wbits=31), binary=True)
    return _gateway(status, headers, body)


def _gateway(
    status: int, headers: dict[str, str], body: bytes, binary: bool = False
) -> dict[str, Any]:
    text = base64.b64encode(body).decode() if binary else body.decode()
    return {"statusCode": status, "headers": headers, "body": text, "isBase64Encoded": binary}


def _entity_tag(body: bytes, encoding: str) -> str:
    # Strong tags name bytes, so the compressed form has its own.
    digest = hashlib.sha256(body).hexdigest()[:32]
    return f'"{digest}-{encoding}"' if encoding else f'"{digest}"'


def _matches(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return if_none_match.strip() == "*" or etag in tags


def _worth_compressing(body: bytes, accept_encoding: str) -> bool:
    return len(body) >= GZIP_FROM_BYTES and _accepts_gzip(accept_encoding)


def _accepts_gzip(accept_encoding: str) -> bool:
    """RFC 9110, 12.5.3: the client's own word on gzip wins over its word on `*`."""
    accepted = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        accepted[coding.strip()] = _quality(parameters) > 0
    return accepted.get("gzip", accepted.get("*", False))


def _quality(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0

"""The few lines of ASGI that both kinds of listener share."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from infra.local.front_door.model import LambdaError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body.

    Raises:
        LambdaError: it has more than `limit` bytes (413), or did not come whole (400).
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # what has come is not what was meant
            raise LambdaError(400, "RequestAbortedException", "The client went away")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            text = f"Request must be smaller than {limit} bytes for the operation"
            raise LambdaError(413, "RequestTooLargeException", text)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def answer(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """The response is sent; its Content-Length is set here."""
    if status not in (204, 304):  # these have no body, and so no length of one
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

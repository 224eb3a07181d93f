"""The Lambda Runtime API (2018-06-01) for one worker: a raw asyncio protocol.

Raw, since it is on the path of every request: a framework here costs more than the handler.
"""

import asyncio
from typing import Protocol, cast

_PREFIX = b"/2018-06-01/runtime/"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n"
# Lambda's limit for a synchronous answer: 6 MB and 100 bytes.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100


class RuntimeEvents(Protocol):
    """What a runtime tells its worker."""

    def asked_next(self, connection: "RuntimeConnection") -> None:
        """The runtime waits for an event on this connection."""

    def disconnected(self, connection: "RuntimeConnection") -> None:
        """The runtime has closed this connection, or has ended."""

    def responded(self, request_id: str, body: bytes) -> None:
        """The handler returned; a body over the limit is an error."""

    def failed(self, request_id: str, body: bytes) -> None:
        """The handler raised."""

    def init_failed(self, body: bytes) -> None:
        """The handler could not be loaded."""


class RuntimeConnection(asyncio.Protocol):
    """One connection from the runtime: requests in, events out."""

    def __init__(self, events: RuntimeEvents) -> None:
        self._events = events
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._events.disconnected(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop: each request that is whole is answered."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            whole = end + 4 + _content_length(head)
            if len(self._buffer) < whole:
                return
            body = bytes(self._buffer[end + 4 : whole])
            del self._buffer[:whole]
            self._answer(head.split(b" ", 2)[1], body)

    def send_event(self, headers: dict[str, str], payload: bytes) -> None:
        """The waiting runtime gets its event."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\n{lines}\r\n"
        )
        self._write(head.encode() + payload)

    def _answer(self, path: bytes, body: bytes) -> None:
        parts = path.removeprefix(_PREFIX).split(b"/")
        if parts == [b"invocation", b"next"]:
            self._events.asked_next(self)
        elif parts == [b"init", b"error"]:
            self._write(_ACCEPTED)
            self._events.init_failed(body)
        elif len(parts) == 3 and parts[2] == b"response":
            # A refused answer makes the runtime exit, as on AWS.
            self._write(_TOO_LARGE if len(body) > MAX_RESPONSE_BYTES else _ACCEPTED)
            self._events.responded(parts[1].decode(), body)
        elif len(parts) == 3 and parts[2] == b"error":
            self._write(_ACCEPTED)
            self._events.failed(parts[1].decode(), body)
        else:
            self._write(_NOT_FOUND)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0

"""A gRPC server that refuses every call with one status: HTTP/2, no more of it than that takes."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PREFACE_BYTES = 24
_HEADERS, _SETTINGS = 1, 4
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_STATUS_200 = b"\x88"  # of HPACK's table; what follows is spelled out


@contextmanager
def refusing(status: int, message: str) -> Iterator[str]:
    """Its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            connection, _ = listener.accept()
            with connection, suppress(OSError, struct.error):
                _answer(connection, status, message)

    thread = threading.Thread(target=serve)
    thread.start()
    address = listener.getsockname()
    yield f"127.0.0.1:{address[1]}"
    over.set()
    socket.create_connection(address).close()
    thread.join()
    listener.close()


def _answer(connection: socket.socket, status: int, message: str) -> None:
    stream = connection.makefile("rb")
    stream.read(_PREFACE_BYTES)
    connection.sendall(_frame(_SETTINGS, 0, 0))
    refusal = _STATUS_200 + b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in (
            (b"content-type", b"application/grpc"),
            (b"grpc-status", str(status).encode()),
            (b"grpc-message", message.encode()),
        )
    )
    while True:
        high, low, kind, flags, number = struct.unpack(">BHBBI", stream.read(9))
        stream.read(high << 16 | low)
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0))
        elif kind == _HEADERS:
            connection.sendall(_frame(_HEADERS, _END_STREAM | _END_HEADERS, number, refusal))


def _frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    length = len(content)
    return struct.pack(">BHBBI", length >> 16, length & 0xFFFF, kind, flags, stream) + content

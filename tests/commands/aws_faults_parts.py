"""An AWS that refuses everything, in its own words and shapes; servers that break below HTTP."""

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import trustme

LONG_AGO = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)


class Refusal(NamedTuple):
    """One error: its status, its code (S3's, where that differs) and AWS's message."""

    status: int
    code: str
    message: str
    s3_code: str = ""


class _RefusingAws(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        server = self.server
        assert isinstance(server, RefusingAws)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.calls.append((self.command, self.path))
        status, code, message, s3_code = server.refusal
        if "X-Amz-Target" in self.headers:  # DynamoDB, Secrets Manager, CloudWatch
            self._answer(status, json.dumps({"__type": f"com.amazon#{code}", "message": message}))
        elif self.path.startswith("/2015-03-31/"):  # Lambda
            self._answer(status, json.dumps({"message": message}), code)
        else:
            text = f"<Code>{s3_code or code}</Code><Message>{message}</Message>"
            self._answer(status, f"<?xml version='1.0'?><Error>{text}</Error>")

    def _answer(self, status: int, body: str, error_type: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("x-amzn-RequestId", "00000000-0000-0000-0000-000000000000")
        if error_type:
            self.send_header("x-amzn-ErrorType", error_type)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _refuse  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class RefusingAws(ThreadingHTTPServer):
    """Every call gets the refusal; `calls` is what was asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(("127.0.0.1", 0), _RefusingAws)
        self.refusal = refusal
        self.calls: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def refusing_aws(refusal: Refusal) -> Iterator[RefusingAws]:
    """It answers inside the block."""
    with RefusingAws(refusal) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port that takes connections: with a context it greets by TLS, without it says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            if context is not None:
                try:
                    context.wrap_socket(connection, server_side=True)
                except OSError:
                    connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in held:
            connection.close()


def tls(folder: Path, *, expired: bool) -> tuple[ssl.SSLContext, str]:
    """A server's context for 127.0.0.1, and the file of the authority that signed for it."""
    authority = trustme.CA()
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    certificate = authority.issue_cert("127.0.0.1", not_after=LONG_AGO if expired else None)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2", "http/1.1"])
    certificate.configure_cert(context)
    return context, str(trusted)

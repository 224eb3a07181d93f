"""Reads encrypted payloads for Temporal's UI and CLI: `python -m connection.codec_server --ui URL`.

Whoever reaches it reads every payload, so it listens on the loopback interface: run it where you
run your browser, with your own AWS role. One for a team belongs behind a proxy that knows who asks.
"""

import argparse
import asyncio
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payloads
from temporalio.converter import PayloadCodec

from connection.converter import data_converter
from connection.errors import KeyringError
from settings import TemporalSettings

_MOST_BYTES = 20_000_000  # a page of history; Temporal takes 2 MB a payload


class CodecServer(ThreadingHTTPServer):
    """Answers the UIs at the given addresses, and programs on this machine."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], codec: PayloadCodec, uis: frozenset[str]) -> None:
        super().__init__(address, _Handler)
        self.codec = codec
        self.uis = uis


class _Handler(BaseHTTPRequestHandler):
    """Temporal's remote codec protocol: POST /decode and /encode, with payloads as JSON."""

    server: CodecServer
    timeout = 30

    def do_OPTIONS(self) -> None:
        self._answer(*((204, b"") if self._may() else (403, b"")))

    def do_POST(self) -> None:
        if not self._may():
            return self._answer(403, b"this origin is none of --ui")
        codec = self.server.codec
        path = self.path.partition("?")[0]  # Temporal's UI adds what it wants of stored payloads
        work = {"/decode": codec.decode_wrapper, "/encode": codec.encode_wrapper}.get(path)
        length = self.headers.get("Content-Length", "")
        if work is None:
            return self._answer(404, b"POST /decode or /encode")
        if not (length.isascii() and length.isdigit()) or int(length) > _MOST_BYTES:
            return self._answer(413, b"the length is missing or too large")
        try:
            payloads = Parse(self.rfile.read(int(length)), Payloads())
            asyncio.run(work(payloads))
        except (ParseError, UnicodeDecodeError) as error:
            return self._answer(400, f"no payloads: {error}".encode())
        except KeyringError as error:
            return self._answer(422, str(error).encode())
        self._answer(200, MessageToJson(payloads, indent=None).encode(), "application/json")

    def _may(self) -> bool:
        """A browser says whose page asks; a program says nothing, and reached this port itself."""
        origin = self.headers.get("Origin")
        return origin is None or origin in self.server.uis

    def _answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        origin = self.headers.get("Origin")
        if origin in self.server.uis:
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Methods", "POST, OPTIONS")
            self.send_header(
                "Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace"
            )
            self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Vary", "Origin")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  its own name
        """Payloads and who reads them are nobody's log."""


def main(arguments: list[str]) -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m connection.codec_server")
    text = "address of a Temporal UI whose pages may ask, as http://localhost:8233"
    parser.add_argument("--ui", action="append", required=True, metavar="URL", help=text)
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="default: 8081")
    chosen = parser.parse_args(arguments)
    try:
        codec = data_converter(TemporalSettings.from_environment()).payload_codec
    except KeyringError as error:
        sys.exit(f"error: {error}")
    if codec is None:
        sys.exit("error: RELEASE_PAYLOAD_KEY_SECRET names no secret: nothing is encrypted")
    uis = frozenset(url.rstrip("/") for url in chosen.ui)
    with CodecServer((chosen.host, chosen.port), codec, uis) as server:
        print(f"codec server ready at http://{chosen.host}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(sys.argv[1:])

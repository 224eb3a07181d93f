"""A channel of the team's: takes notices and tells them apart by their idempotency key."""

import http.server
import json
import threading
from typing import Any


class Listener:
    """Listens on the loopback; may be told to be down."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, Any]]] = []  # (idempotency key, body)
        self.is_down = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not outer.is_down:
                    outer.notices.append((self.headers["Idempotency-Key"], json.loads(body)))
                self.send_response(503 if outer.is_down else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/team"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """It listens no more."""
        self._server.shutdown()
        self._server.server_close()

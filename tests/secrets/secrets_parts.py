"""Where a secret could be left behind, read whole; and a peer that repeats all it is told."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from temporalio.client import Client

_NAME = "startChildWorkflowExecutionInitiatedEventAttributes"


@contextmanager
def parrot(status: int) -> Iterator[str]:
    """The address of a server that answers every request with its own path and headers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            said = {"error": self.path, "code": "PARROT", "message": str(self.headers.items())}
            body = json.dumps(said).encode()
            self.send_response(status, self.path)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-request-id", "r")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def told(client: Client, identity: str) -> str:
    """Everything in the histories of a workflow and of all that it started, payloads decoded."""
    text, asked, seen = "", [identity], set()
    while asked:
        name = asked.pop()
        seen.add(name)
        handle = client.get_workflow_handle(name)
        events = json.loads((await handle.fetch_history()).to_json())["events"]
        text += json.dumps(events) + " ".join(_payloads(events))
        asked += {event[_NAME]["workflowId"] for event in events if _NAME in event} - seen
    return text


def _payloads(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("data"), str) and "metadata" in node:
            yield base64.b64decode(node["data"]).decode(errors="replace")
        for value in node.values():
            yield from _payloads(value)
    elif isinstance(node, list):
        for value in node:
            yield from _payloads(value)


def stored(s3: Any, bucket: str) -> str:
    """Everything that lies in a bucket."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return "".join(keys) + b"".join(bodies).decode(errors="replace")

"""What the service's tests build with: both lambdas as deployed, tables, and a client."""

import hashlib
import importlib
import itertools
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import trustme
from botocore.config import Config
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
KEY = "cw_test_abcdefghijklmnopqrstuvwxyz0123"
REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def load_lambda(folder: str) -> SimpleNamespace:
    """The lambda's modules by name. Imports inside are plain, as in its zip, and both lambdas
    have an `app`: so none of them stays in `sys.modules`."""
    path = ROOT / "api_lambda" / folder
    names = [file.stem for file in path.glob("*.py")]
    sys.path.insert(0, str(path))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(path))
        for name in names:
            sys.modules.pop(name, None)


def resource(endpoint: str) -> Any:
    """boto3's DynamoDB at `endpoint`."""
    return boto3.resource(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


def new_table(endpoint: str, name: str = "") -> Any:
    """A fresh table of the service's shape."""
    keys = ("PK", "HASH"), ("SK", "RANGE")
    return resource(endpoint).create_table(
        TableName=name or f"crypto-watch-{uuid.uuid4().hex}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Returns once something accepts connections there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


def settings_of(lambda_: SimpleNamespace, endpoint: str, table_name: str, **more: str) -> Any:
    """The price API's settings for a table."""
    environment = {
        **CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "TABLE_NAME": table_name,
        "RELEASE_VERSION": "1.2.3",
        "GIT_SHA": "a" * 40,
        "AWS_LAMBDA_FUNCTION_NAME": "crypto-watch-api-staging",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        **more,
    }
    return lambda_.variables.Settings.from_environment(environment)


def put_price(table: Any, symbol: str, age: float = 0, **fields: Any) -> None:
    """A price made `age` seconds ago stands in the table."""
    moment = datetime.now(UTC) - timedelta(seconds=age)
    item = {
        "PK": f"PRICE#{symbol}",
        "SK": "METADATA",
        "symbol": symbol,
        "name": f"Name of {symbol}",
        "price": 100,
        "change24h": 1,
        "marketCap": 1_000_000,
        "lastUpdated": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    table.put_item(Item={**item, **fields})


def put_key(table: Any, key: str = KEY, **fields: Any) -> None:
    """An enabled key stands in the table, unless `fields` say otherwise."""
    item = {
        "PK": f"APIKEY#{hashlib.sha256(key.encode()).hexdigest()}",
        "SK": "METADATA",
        "name": "test",
        "enabled": True,
        "createdAt": "2025-01-01T00:00:00Z",
    }
    table.put_item(Item={**item, **fields})


class Client:
    """Sends requests to the real handler; every JSON body is held to the OpenAPI document."""

    def __init__(self, handle: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
        self._handle = handle
        self._document = json.loads((ROOT / "api_lambda/prices/openapi.json").read_text())

    def send(
        self, path: str, query: str = "", method: str = "GET", key: str = KEY, **headers: str
    ) -> SimpleNamespace:
        """The answer: status, headers, body (bytes on the wire), json."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["x-api-key"] = key
        request_id = f"id-{uuid.uuid4().hex}"
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": sent,
            "requestContext": {
                "requestId": request_id,
                "stage": "$default",
                "http": {"method": method, "path": path},
            },
            "isBase64Encoded": False,
        }
        answer = SimpleNamespace(**self._handle(event, None))
        answer.status = answer.statusCode
        answer.request_id = request_id
        if answer.body and not answer.isBase64Encoded:
            answer.json = json.loads(answer.body)
        if method == "GET":
            self._hold(path, answer)
        return answer

    def _hold(self, path: str, answer: SimpleNamespace) -> None:
        route = "/prices/{symbol}" if path.startswith("/prices/") else path
        operation = self._document["paths"].get(route, {}).get("get")
        if operation is None:
            return
        promised = self._resolve(operation["responses"][str(answer.status)])
        if answer.status != 404:
            missing = {name.lower() for name in promised["headers"]} - set(answer.headers)
            assert not missing, missing
        if hasattr(answer, "json"):
            schema = promised["content"]["application/json"]["schema"]
            whole = {**schema, "components": self._document["components"]}
            Draft202012Validator(whole).validate(answer.json)

    def _resolve(self, node: Any) -> Any:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node


class Reply(NamedTuple):
    """What the listener answers: `body` after `headers`, or a closed connection for status 0."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


HANG_UP = Reply(0)


class Listener:
    """A real HTTP listener that answers what it is told and remembers what it was asked.

    The last reply is given to every further request.
    """

    def __init__(self, tls: trustme.LeafCert | None = None) -> None:
        self.replies: list[Reply] = []
        self.requests: list[SimpleNamespace] = []
        outer = self
        connections = itertools.count()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.number = next(connections)

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(
                    SimpleNamespace(
                        path=self.path, headers=headers, body=body, connection=self.number
                    )
                )
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                if reply.status == 0:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in (*reply.headers, ("content-length", str(len(reply.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_POST = do_GET  # noqa: N815 the base class's naming

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True  # a kept-alive connection must not hold up the end

            def handle_error(self, *_: Any) -> None:
                """Quiet: a client that breaks off is part of a test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

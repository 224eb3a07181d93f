"""Real parts for the service's tests: both lambdas as deployed, and DynamoDB over HTTP."""

import hashlib
import importlib
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

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


@pytest.fixture(scope="session")
def price_lambda() -> SimpleNamespace:
    """The price API's modules."""
    return load_lambda("prices")


@pytest.fixture(scope="session")
def fetcher_lambda() -> SimpleNamespace:
    """The fetcher's modules."""
    return load_lambda("fetcher")


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


def new_table(endpoint: str) -> Any:
    """A fresh table of the service's shape."""
    keys = ("PK", "HASH"), ("SK", "RANGE")
    return resource(endpoint).create_table(
        TableName=f"crypto-watch-{uuid.uuid4().hex}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """moto's DynamoDB: for one client at a time, it loses concurrent writes."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ministack's DynamoDB, which is exact under concurrency."""
    folder = tmp_path_factory.mktemp("ministack")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    command = [str(ROOT / ".venv/envs/ministack/bin/ministack")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


@pytest.fixture
def table(moto_endpoint: str) -> Iterator[Any]:
    """An empty table."""
    table = new_table(moto_endpoint)
    yield table
    table.delete()


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
    return lambda_.settings.Settings.from_environment(environment)


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
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": sent,
            "requestContext": {
                "requestId": f"id-{uuid.uuid4().hex}",
                "stage": "$default",
                "http": {"method": method, "path": path},
            },
            "isBase64Encoded": False,
        }
        answer = SimpleNamespace(**self._handle(event, None))
        answer.status = answer.statusCode
        answer.request_id = event["requestContext"]["requestId"]
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


@pytest.fixture
def client(price_lambda: SimpleNamespace, moto_endpoint: str, table: Any) -> Client:
    """A client of the price API, whose table has one good key and no price."""
    put_key(table)
    settings = settings_of(price_lambda, moto_endpoint, table.name)
    return Client(price_lambda.app.PriceApi(settings).handle)

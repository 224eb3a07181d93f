"""Real parts for the service's tests: both lambdas, and DynamoDB over HTTP."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from tests.local.front_door_parts import ENVIRONMENTS
from tests.service.deployed import Deployed, platform
from tests.service.service_parts import (
    REGION,
    Client,
    Listener,
    load_lambda,
    new_table,
    put_key,
    settings_of,
    wait_for_port,
)


@pytest.fixture(scope="session")
def price_lambda() -> SimpleNamespace:
    """The price API's modules."""
    return load_lambda("prices")


@pytest.fixture(scope="session")
def fetcher_lambda() -> SimpleNamespace:
    """The fetcher's modules."""
    return load_lambda("fetcher")


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
    command = [str(ENVIRONMENTS / "ministack/bin/ministack")]
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


@pytest.fixture(params=["moto", "ministack"])
def endpoint(request: pytest.FixtureRequest) -> str:
    """DynamoDB, by both stand-ins in turn: what one is lax about, the other is not."""
    return str(request.getfixturevalue(f"{request.param}_endpoint"))


@pytest.fixture
def table(endpoint: str) -> Iterator[Any]:
    """An empty table."""
    table = new_table(endpoint)
    yield table
    table.delete()


@pytest.fixture
def client(price_lambda: SimpleNamespace, endpoint: str, table: Any) -> Client:
    """A client of the price API, whose table has one good key and no price."""
    put_key(table)
    settings = settings_of(price_lambda, endpoint, table.name)
    return Client(price_lambda.app.PriceApi(settings).handle)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Deployed]]:
    """A maker of deployed stages: the Lambda's variables in, a running API out."""
    with platform(tmp_path_factory.mktemp("platform")) as stage:
        yield stage


@pytest.fixture
def listener() -> Iterator[Listener]:
    """An HTTP listener whose answers the test decides."""
    with Listener() as listener:
        yield listener

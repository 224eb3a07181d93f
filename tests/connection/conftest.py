"""The flow's parts, AWS's secrets, and a second client whose payloads are encrypted."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer
from temporalio.client import Client
from temporalio.worker import Worker

from connection.codec import Keyring, new_key
from connection.converter import data_converter
from settings import TemporalSettings
from tests.flow.conftest import release_system, temporal
from tests.flow.release_system import ReleaseSystem

__all__ = ["release_system", "temporal"]
SECRET = "release/payload-keys"
OFF = TemporalSettings(
    deployment="", build_id="", metrics_address="", traces_endpoint="", payload_key_secret=""
)


@dataclass
class Keys:
    """The secret with the payload keys; `environment` is what a process needs to read it."""

    secrets: Any
    environment: dict[str, str]

    def put(self, keyring: Keyring) -> None:
        """The secret holds this keyring now."""
        text = keyring.model_dump_json()
        self.secrets.put_secret_value(SecretId=SECRET, SecretString=text)

    def rotate(self, key_id: str) -> None:
        """As the documentation says to do it: a new key joins the old ones."""
        text = self.secrets.get_secret_value(SecretId=SECRET)["SecretString"]
        self.put(Keyring.parse(text).with_new(key_id))


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an AWS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def keys(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """A secret with one key, where this process and its children look for it."""
    environment = {
        "AWS_ENDPOINT_URL": moto,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "RELEASE_PAYLOAD_KEY_SECRET": SECRET,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    secrets = boto3.client("secretsmanager")
    text = Keyring(current="first", keys={"first": new_key()}).model_dump_json()
    secrets.create_secret(Name=SECRET, SecretString=text)
    yield Keys(secrets, environment)
    httpx.post(f"{moto}/moto-api/reset")


def encrypted(client: Client) -> Client:
    """The same connection, as a process with payload keys has it."""
    converter = data_converter(TemporalSettings.from_environment())
    return Client(**(client.config() | {"data_converter": converter}))


@pytest_asyncio.fixture(loop_scope="session")
async def encrypted_system(
    keys: Keys, release_system: ReleaseSystem, temporal: Any
) -> AsyncIterator[ReleaseSystem]:
    """The release system whose client and worker encrypt; on a queue of its own."""
    client = encrypted(temporal.client)
    release_system.queue += "-encrypted"
    release_system.environment = SimpleNamespace(client=client)
    ours = {"client": client, "task_queue": release_system.queue}
    async with Worker(**(release_system.worker_options | ours)):
        yield release_system

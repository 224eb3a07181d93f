"""Real parts for proofs and notices: ministack's Secrets Manager and DynamoDB, over HTTP."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local import front_door_parts as parts
from tests.service.service_parts import new_table


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ministack of this run."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def secrets(endpoint: str) -> Any:
    """Its Secrets Manager."""
    return parts.client("secretsmanager", int(endpoint.rpartition(":")[2]))


@pytest.fixture(scope="session")
def dynamodb(endpoint: str) -> Any:
    """Its DynamoDB."""
    return parts.client("dynamodb", int(endpoint.rpartition(":")[2]))


@pytest.fixture
def table(endpoint: str) -> Iterator[str]:
    """A table of the service's shape, empty."""
    table = new_table(endpoint)
    yield table.name
    table.delete()


@pytest.fixture
def secret(secrets: Any) -> Any:
    """Puts a secret, of a new name unless one is given."""

    def put(text: str, name: str = "") -> str:
        name = name or f"release/tests/{uuid.uuid4().hex}"
        secrets.create_secret(Name=name, SecretString=text)
        return name

    return put

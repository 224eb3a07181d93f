"""The record in a real table over HTTP, and histories to tell it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from activities.deployment_table import DeploymentTable
from release.deployment import Change, Deployment, DeploymentStatus
from tests.local import front_door_parts as parts
from tests.service.service_parts import new_table


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """ministack's: its transactions hold under concurrent writers, moto's do not."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def item_table(port: int) -> Iterator[Any]:
    """An empty table, as items."""
    table = new_table(f"http://127.0.0.1:{port}")
    yield table
    table.delete()


@pytest.fixture
def dynamodb(port: int) -> Any:
    """A client that hides no error behind retries."""
    return parts.client("dynamodb", port)


@pytest.fixture
def record(dynamodb: Any, item_table: Any) -> DeploymentTable:
    """Production's record."""
    return DeploymentTable(dynamodb, item_table.name, "prod")


def served(version: str, at: datetime, commit: str = "", **facts: Any) -> Deployment:
    """A promotion's word that the version began to serve."""
    change = Change(at=at, status=DeploymentStatus.ACTIVE)
    return _told(version, commit, change, {"deployed_at": at, "promotion": "p"} | facts)


def back(version: str, at: datetime, reason: str = "errors", commit: str = "") -> Deployment:
    """A rollback's word that the version went out of service; it knows no more."""
    change = Change(at=at, status=DeploymentStatus.ROLLED_BACK, reason=reason)
    return _told(version, commit, change, {})


def _told(version: str, commit: str, change: Change, facts: dict[str, Any]) -> Deployment:
    return Deployment(
        environment="prod",
        version=version,
        git_commit=commit or (version.replace(".", "") * 40)[:40],
        status=change.status,
        reason=change.reason,
        changes=(change,),
        **facts,
    )

"""Production after an incident: ministack and the laptop's CloudWatch, over HTTP."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.commands.conftest import repository, starter, state_dir  # noqa: F401
from tests.local import front_door_parts as parts
from tests.local.cloudwatch_fixtures import cloudwatch, cloudwatch_process  # noqa: F401
from tests.rollback.production_parts import Production
from tests.service.service_parts import new_table


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ministack."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def production(control_plane: int) -> Iterator[Production]:
    """Both functions serve version 1; version 2 is there too. An empty table."""
    production = Production(control_plane)
    production.create("1.0.0", "a" * 40)
    production.publish("1.2.3", "b" * 40)
    table = new_table(production.endpoint, "crypto-watch-prod")
    yield production
    table.delete()
    production.forget()


@pytest.fixture
def aws(production: Production, cloudwatch: Any) -> SimpleNamespace:  # noqa: F811
    """The clients that the packet is gathered with."""
    return SimpleNamespace(
        lambda_=production.lambda_,
        cloudwatch=cloudwatch,
        **{name: production.client(name) for name in ("s3", "logs", "dynamodb")},
    )

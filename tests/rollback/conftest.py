"""Real parts for going back: ministack's Lambda, S3 and DynamoDB, over HTTP."""

from collections.abc import Iterator

import pytest

from tests.local import front_door_parts as parts
from tests.rollback.production_parts import Production


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ministack of this run."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def production(control_plane: int) -> Iterator[Production]:
    """Production without functions."""
    production = Production(control_plane)
    yield production
    production.forget()

"""The one CloudWatch process that the tests share."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.local.cloudwatch_parts import Process


@pytest.fixture(scope="session")
def cloudwatch_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("cloudwatch") / "cloudwatch.db")
    yield process
    process.end()


@pytest.fixture(scope="session")
def cloudwatch(cloudwatch_process: Process) -> Any:
    return cloudwatch_process.client


@pytest.fixture
def namespace() -> str:
    """A test's own metrics and alarms, in the process that all tests share."""
    return f"Test{uuid4().hex[:8]}"

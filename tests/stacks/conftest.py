"""One cloud for all tests of stacks; each test's production is its own."""

from collections.abc import Iterator

import pytest

from tests.stacks import stack_parts


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack_parts.Cloud]:
    """CloudFormation with what it needs behind it."""
    with stack_parts.cloud(tmp_path_factory.mktemp("stacks")) as found:
        yield found


@pytest.fixture
def project(tmp_path) -> stack_parts.Project:
    """A repository with the project's own template."""
    return stack_parts.Project(tmp_path)


@pytest.fixture
def production(cloud, project) -> Iterator[stack_parts.Cloud]:
    """The cloud with production's stack, made of the project's own template."""
    cloud.create_production(project.text, LogRetentionDays="14")
    yield cloud
    cloud.delete_production()

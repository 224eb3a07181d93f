"""A listener whose answers a test writes, and servers of GitHub's own description."""

from collections.abc import Iterator

import httpx
import pytest
from github_parts import TOKEN, cut_description, hold_to_description, prism

from activities.github_api import github_client
from tests.service.service_parts import Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A GitHub whose answers the test decides."""
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="session", params=["whole", "sparse"])
def described_github(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Our client of a GitHub that has everything described, or only what is promised."""
    description = cut_description(sparse=request.param == "sparse")
    with (
        prism(tmp_path_factory.mktemp("prism"), description) as url,
        github_client(url, lambda: TOKEN) as client,
    ):
        yield client


@pytest.fixture
def described(described_github: httpx.Client) -> httpx.Client:
    """The same, without wishes; a request that breaks the description fails the test."""
    described_github.headers.pop("Prefer", None)
    described_github.event_hooks = {"response": [hold_to_description]}
    return described_github

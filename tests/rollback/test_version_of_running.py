"""A promotion that runs has its version: another commit's promotion gets the next."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.commands.conftest import Completed

pytestmark = pytest.mark.asyncio(loop_scope="session")

Promote = Callable[..., Awaitable[Completed]]


@pytest_asyncio.fixture(loop_scope="session")
async def promote(
    temporal: WorkflowEnvironment, production, repository, table, starter
) -> AsyncIterator[Promote]:
    """Starts promotions as dora; production runs v1.0.0, and no worker takes them up."""
    live = repository.commit()
    repository.git("tag", "v1.0.0")
    production.create("1.0.0", live)
    started = []

    async def run(*arguments: str) -> Completed:
        done = await asyncio.to_thread(
            starter,
            *("promote", *arguments, "--as", "dora", "--json"),
            AWS_ENDPOINT_URL=production.endpoint,
            TEMPORAL_ADDRESS=temporal.client.service_client.config.target_host,
        )
        if done.returncode == 0:
            started.append(json.loads(done.stdout)["id"])
        return done

    yield run
    for identity in set(started):
        await temporal.client.get_workflow_handle(identity).terminate()


def facts(done: Completed) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


async def test_second_commit_gets_the_next_patch(promote, repository):
    """Both are patches after v1.0.0; the first has the number."""
    first, second = repository.commit("fix: one"), repository.commit("fix: two")

    assert facts(await promote(first))["version"] == "1.0.1"
    assert facts(await promote(second))["version"] == "1.0.2"


async def test_promotion_that_is_attached_to_keeps_its_version(promote, repository):
    """Its own number is not another's."""
    sha = repository.commit("fix: one")
    await promote(sha)

    again = facts(await promote(sha))

    assert (again["attached"], again["version"]) == (True, "1.0.1")


async def test_version_by_hand_that_a_running_promotion_has_is_refused(promote, repository):
    """Asked for by name, it is not replaced in silence."""
    first, second = repository.commit("fix: one"), repository.commit("fix: two")
    assert facts(await promote(first, "--version", "1.5.0"))["version"] == "1.5.0"

    refused = await promote(second, "--version", "1.5.0")

    said = f"--version 1.5.0 is taken: {first[:12]} has it"
    assert (refused.returncode, json.loads(refused.stdout)["error"]) == (2, said)
    assert refused.stderr == f"error: {said}\n"

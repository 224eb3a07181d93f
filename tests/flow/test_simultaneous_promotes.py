"""Many people promote one commit at the same moment."""

import asyncio
import uuid

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cli import promotions
from release.promotion import PromotionRequest
from tests.flow.release_system import project_policy

pytestmark = pytest.mark.asyncio(loop_scope="session")
CALLERS = 50


async def test_fifty_promotes_of_one_commit_are_one_run(temporal):
    """Of fifty callers with connections of their own one starts it, and 49 attach to the same."""
    sha = (uuid.uuid4().hex + uuid.uuid4().hex)[:40]
    request = PromotionRequest(
        sha=sha, version="1.2.3", requested_by="dora", policy=project_policy()
    )
    target = temporal.client.service_client.config.target_host
    callers = await asyncio.gather(
        *(
            Client.connect(target, data_converter=pydantic_data_converter, identity=f"p{number}")
            for number in range(CALLERS)
        )
    )

    answers = await asyncio.gather(*(promotions.start(caller, request) for caller in callers))

    assert {handle.id for handle, _ in answers} == {request.workflow_id}
    assert [attached for _, attached in answers].count(False) == 1
    handle = temporal.client.get_workflow_handle(request.workflow_id)
    history = await handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.attempt == 1
    assert not started.continued_execution_run_id
    # a second run would stand beside it, closed or not
    query = f"WorkflowId = '{request.workflow_id}'"
    async with asyncio.timeout(20):
        while True:
            runs = [run.run_id async for run in temporal.client.list_workflows(query)]
            if runs:
                break
            await asyncio.sleep(0.05)
    assert runs == [(await handle.describe()).run_id]
    await handle.terminate("the test is over")

"""The release system is released while promotions run: builds of its worker, on the real server."""

import asyncio
import sysconfig
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.worker import Worker

from connection.worker_options import worker_options
from release.promotion import Outcome, PromotionResult
from release.rollback import AliasTarget, RollbackRequest
from tests.connection.conftest import OFF
from worker import WORKFLOWS
from workflows.rollback import RollbackWorkflow
from workflows.versioning import AUTO_UPGRADE

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


class Builds:
    """Versioned workers on a queue of their own, and the operator's commands for them."""

    def __init__(self, system, client: Client) -> None:
        self.system = system
        self.client = client
        self.address = client.service_client.config.target_host
        self.deployment = f"release-{uuid.uuid4().hex[:8]}"
        system.queue = uuid.uuid4().hex  # promotions of this test are started here

    @asynccontextmanager
    async def worker(self, build: str) -> AsyncIterator[None]:
        """The worker of a build runs, and Temporal knows that build."""
        settings = replace(OFF, deployment=self.deployment, build_id=build)
        ours = worker_options(settings) | {"task_queue": self.system.queue}
        ours["max_concurrent_activities"] = 8  # the threads that it has here
        async with Worker(**(self.system.worker_options | ours)):
            await self._until(lambda: self._is_known(build))
            yield

    async def make_current(self, build: str) -> None:
        """As docs/changing-a-workflow.md says to do it."""
        which = (f"--deployment-name={self.deployment}", f"--build-id={build}")
        await self.command("worker", "deployment", "set-current-version", *which, "--yes")
        await self._until(self._is_routed)  # the command returns a little earlier

    async def command(self, *arguments: str) -> str:
        """The official command line's output; fails as it does."""
        process = await asyncio.create_subprocess_exec(
            *(TEMPORAL, *arguments, f"--address={self.address}", "--disable-config-file"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 30)
        if process.returncode:
            raise RuntimeError(errors.decode())
        return output.decode()

    async def _is_known(self, build: str) -> bool:
        which = (f"--deployment-name={self.deployment}", f"--build-id={build}")
        try:
            await self.command("worker", "deployment", "describe-version", *which)
        except RuntimeError:
            return False
        return True

    async def _is_routed(self) -> bool:
        found = await self.client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(
                namespace=self.client.namespace, deployment_name=self.deployment
            )
        )
        state = found.worker_deployment_info.routing_config_update_state
        return state == RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED

    @staticmethod
    async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.1)


@pytest.fixture
def builds(release_system, temporal):
    return Builds(release_system, temporal.client)


async def ran_on(handle) -> set[str]:
    """The builds that the workflow's tasks were done by."""
    history = await handle.fetch_history()
    return {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    }


async def test_promotion_ends_on_the_build_that_it_began_on(builds, release_system):
    """A new build takes the new promotions; one that waits for approval stays where it is."""
    async with builds.worker("aaaa"):
        await builds.make_current("aaaa")
        waiting = await release_system.promote_to_approval()
        async with builds.worker("bbbb"):
            await builds.make_current("bbbb")
            newer = await release_system.promote_to_approval()
            await release_system.approve(waiting)
            assert (await waiting.result()).outcome is Outcome.COMPLETED
            await newer.signal("reject", {"approver": "bob"})
            assert (await newer.result()).outcome is Outcome.REJECTED

    assert await ran_on(waiting) == {"aaaa"}
    assert await ran_on(newer) == {"bbbb"}


async def test_promotion_whose_build_is_gone_is_moved_to_another(builds, release_system):
    """It waits, whole, until an operator pins it to a build that replays it; then it goes on."""
    async with builds.worker("aaaa"):
        await builds.make_current("aaaa")
        stranded = await release_system.promote_to_approval()
    async with builds.worker("bbbb"):
        await builds.make_current("bbbb")
        await stranded.signal("approve", {"approver": "alice"})
        newer = await release_system.promote_to_approval()  # bbbb works, and not for the other
        assert await ran_on(stranded) == {"aaaa"}

        await builds.command(
            *("workflow", "update-options", f"--workflow-id={stranded.id}"),
            *("--versioning-override-behavior=pinned", "--versioning-override-build-id=bbbb"),
            f"--versioning-override-deployment-name={builds.deployment}",
        )
        await release_system.approve(stranded)
        result: PromotionResult = await asyncio.wait_for(stranded.result(), 60)
        await newer.signal("abort", {"by": "carol", "reason": "seen enough"})
        await newer.result()

    assert result.outcome is Outcome.COMPLETED
    assert await ran_on(stranded) == {"aaaa", "bbbb"}


async def test_rollback_goes_over_to_the_new_build_by_itself(builds, release_system, temporal):
    """A rollback that nothing can stop does not wait for a worker that is gone either."""
    release_system.aws.go_on.clear()
    request = RollbackRequest(
        service="crypto-watch",
        requested_by="carol",
        reason="customers call",
        release="1.2.2",
        targets=(AliasTarget(function="crypto-watch-api-prod", alias="live", version="1"),),
    )
    async with builds.worker("aaaa"):
        await builds.make_current("aaaa")
        handle = await temporal.client.start_workflow(
            RollbackWorkflow.run,
            request,
            id=f"rollback/{uuid.uuid4().hex}",
            task_queue=release_system.queue,
        )
        assert await asyncio.to_thread(release_system.aws.reading.wait, 20)
        async with builds.worker("bbbb"):
            await builds.make_current("bbbb")
            release_system.aws.go_on.set()
            result = await asyncio.wait_for(handle.result(), 60)

    assert [alias.version for alias in result.aliases] == ["1"]
    assert await ran_on(handle) == {"aaaa", "bbbb"}


async def test_children_of_a_promotion_stay_or_move_as_they_say(builds, release_system, temporal):
    """What ends within a day is pinned as its promotion is; what is tried for ever is not."""
    async with builds.worker("aaaa"):
        await builds.make_current("aaaa")
        handle = await release_system.promote_to_approval()
        async with builds.worker("bbbb"):
            await builds.make_current("bbbb")
            await release_system.approve(handle)
            assert (await handle.result()).outcome is Outcome.COMPLETED
            children = {
                child.workflow_type: temporal.client.get_workflow_handle(child.id)
                async for child in temporal.client.list_workflows(
                    f"RootWorkflowId = '{handle.id}' AND WorkflowId != '{handle.id}'"
                )
            }
            await asyncio.wait_for(children["RecordWorkflow"].result(), 60)
            await release_system.environment.fast_forward(
                children["PostDeployWorkflow"], timedelta(hours=25)
            )
            await asyncio.wait_for(children["PostDeployWorkflow"].result(), 60)

    assert {name: await ran_on(child) for name, child in children.items()} == {
        "RecordWorkflow": {"aaaa", "bbbb"},  # its first task is for its parent's build
        "PostDeployWorkflow": {"aaaa"},
    }


async def test_workflows_that_go_over_are_workflows_of_the_worker():
    """A renamed workflow does not become pinned in silence."""
    ours = {workflow.__name__ for workflow in WORKFLOWS}

    assert ours >= AUTO_UPGRADE


async def test_without_a_build_the_worker_is_any_worker():
    """The laptop's worker takes what is there, whatever ran before it."""
    assert "deployment_config" not in worker_options(OFF)

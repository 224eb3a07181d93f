"""Many promotions at once: started, let in by their approvers, and followed to their end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from infra.local.settings import PROJECT_ROOT
from release.policy import Policy, parse_policy
from release.promotion import PromotionRequest, PromotionStatus, Stage
from settings import task_queue
from workflows.promotion import PromotionWorkflow

Given = TypeVar("Given")
Got = TypeVar("Got")
Handle = WorkflowHandle[PromotionWorkflow, Any]
_AT_ONCE = 40  # calls to the server that are under way
_PATIENCE_SECONDS = 3600
_ASKED_AGAIN_SECONDS = 20
_RUNNING = "WorkflowType = 'PromotionWorkflow' AND ExecutionStatus = 'Running'"
_ASKING = f"{_RUNNING} AND ReleaseStage = '{Stage.APPROVAL.value}'"


class Promotions:
    """Promotions by the project's own policy, of many services; commits count from `first`."""

    def __init__(self, client: Client, services: int, first: int = 0) -> None:
        self._first = first
        self._client = client
        self._services = services
        self._policy = parse_policy((PROJECT_ROOT / "release.toml").read_text())
        self.handles: list[Handle] = []
        self.requests: list[PromotionRequest] = []

    async def start(self, count: int) -> None:
        """So many more are started, with their manual items signed off."""

        async def one(number: int) -> tuple[PromotionRequest, Handle]:
            request = PromotionRequest(
                sha=f"{number:012x}{0:028x}",  # an id is made of the first twelve
                version=f"1.{number}.0",
                requested_by="dora",
                policy=self._of(number % self._services),
            )
            handle = await self._client.start_workflow(
                PromotionWorkflow.run, request, id=request.workflow_id, task_queue=task_queue()
            )
            for item in self._policy.checklist.items():
                if item.manual:
                    by = self._policy.approval.roles[item.manual[0]].people[0]
                    await handle.signal("sign_off", {"item": item.id, "by": by})
            return request, handle

        begun = self._first + len(self.handles)
        for request, handle in await _few_at_once(one, range(begun, begun + count)):
            self.requests.append(request)
            self.handles.append(handle)

    def _of(self, number: int) -> Policy:
        """The project's policy, of another service."""
        return self._policy.model_copy(update={"service": f"service-{number}"})

    async def wait_for_the_question(self) -> None:
        """Every promotion that has not ended waits for its approvers.

        They are counted together, not asked one by one: asking would be most of what is measured.
        """

        async def count(query: str) -> int:
            return (await self._client.count_workflows(query)).count

        deadline = time.monotonic() + _PATIENCE_SECONDS
        # those that have just begun may not be listed yet
        while not await count(_RUNNING) or await count(_ASKING) < await count(_RUNNING):
            if time.monotonic() > deadline:
                raise TimeoutError("some promotions are not asking for their approval")
            await asyncio.sleep(0.5)

    async def approve(self) -> None:
        """Both leads say yes, once each promotion."""
        await _few_at_once(approve, self.handles)

    async def see_through(self) -> list[str]:
        """How each promotion ended; who is asked again says yes again."""
        answering = asyncio.create_task(self._answer_again())
        try:
            return list(await asyncio.gather(*(_outcome(handle) for handle in self.handles)))
        finally:
            answering.cancel()

    async def _answer_again(self) -> None:
        """What was approved may have changed while a promotion waited for production."""
        while True:
            await asyncio.sleep(_ASKED_AGAIN_SECONDS)
            with suppress(RPCError):  # the next round asks again
                async for run in self._client.list_workflows(_ASKING):
                    handle = self._client.get_workflow_handle_for(PromotionWorkflow.run, run.id)
                    status = await _status(handle)
                    if status and status.stage is Stage.APPROVAL and not status.votes:
                        await approve(handle)


async def approve(handle: Handle) -> None:
    """Both leads' yes, in the order of their names."""
    for name in ("alice", "bob"):
        try:
            await handle.signal("approve", {"approver": name, "comment": "go"})
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # ended meanwhile
                raise


async def _outcome(handle: Handle) -> str:
    try:
        return str((await handle.result()).outcome)
    except WorkflowFailureError as failure:
        return f"failed: {failure.cause}"


async def _status(handle: Handle) -> PromotionStatus | None:
    """None while no worker answers: one was killed, its promotions wait for another."""
    try:
        return await handle.query(PromotionWorkflow.status)
    except RPCError:
        return None


async def _few_at_once(work: Callable[[Given], Awaitable[Got]], of: Iterable[Given]) -> list[Got]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(given: Given) -> Got:
        async with gate:
            return await work(given)

    return list(await asyncio.gather(*(one(given) for given in of)))

"""Activities that say nothing are known to live: a dead worker is noticed in seconds."""

import asyncio
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.worker import Worker
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.pulse import Pulse
    from release.pulse import PULSE

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Silent:
    """An activity that only does its work."""

    def __init__(self) -> None:
        self.begun, self.end, self.told = (threading.Event() for _ in range(3))
        self.finished = False

    @activity.defn
    def work(self) -> str:
        self.begun.set()
        while not self.end.wait(0.02):
            if activity.is_cancelled():
                self.told.set()
        self.finished = True
        return "done"


@workflow.defn(sandboxed=False)
class Waiting:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            "work",
            result_type=str,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=PULSE,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


@pytest_asyncio.fixture(loop_scope="session")
async def waiting(temporal):
    """The activity, under way."""
    silent, queue = Silent(), uuid.uuid4().hex
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            temporal.client,
            task_queue=queue,
            workflows=[Waiting],
            activities=[silent.work],
            activity_executor=threads,
            interceptors=[Pulse()],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        ):
            handle = await temporal.client.start_workflow(Waiting.run, id=queue, task_queue=queue)
            await asyncio.to_thread(silent.begun.wait, 20)
            yield silent, handle
            silent.end.set()


async def test_activity_that_says_nothing_is_heard_of(waiting):
    """Temporal hears of it again and again, although its code never beats."""
    silent, handle = waiting
    beats = set()
    async with asyncio.timeout(20):
        while len(beats) < 2:
            pending = (await handle.describe()).raw_description.pending_activities[0]
            if pending.HasField("last_heartbeat_time"):
                beats.add(pending.last_heartbeat_time.ToDatetime())
            await asyncio.sleep(0.05)
    silent.end.set()

    assert await handle.result() == "done"


async def test_cancellation_waits_for_the_end_of_the_call(waiting):
    """What a cancellation meets is finished, not torn: it may hold a shared connection's lock."""
    silent, handle = waiting
    await handle.cancel()
    assert await asyncio.to_thread(silent.told.wait, 20)

    assert not silent.finished
    silent.end.set()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await handle.result()
    assert silent.finished

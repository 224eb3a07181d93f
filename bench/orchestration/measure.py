"""What a history tells of its promotion: its size, how fast a message was answered, its replay."""

import time
from collections.abc import AsyncIterator, Iterable
from statistics import quantiles

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workflows.promotion import PromotionWorkflow


def size(history: WorkflowHistory) -> tuple[int, int]:
    """(events, bytes as the server keeps them)."""
    return len(history.events), sum(event.ByteSize() for event in history.events)


def answer_seconds(history: WorkflowHistory) -> float | None:
    """From the last approval to the next activity that a worker has begun."""
    approved: float | None = None
    scheduled: set[int] = set()
    for event in history.events:
        at = event.event_time.ToMicroseconds() / 1e6
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            if event.workflow_execution_signaled_event_attributes.signal_name == "approve":
                approved, scheduled = at, set()
        elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and approved is not None:
            scheduled.add(event.event_id)
        elif (
            kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
            and approved is not None
            and event.activity_task_started_event_attributes.scheduled_event_id in scheduled
        ):
            return at - approved
    return None


async def replay_seconds(histories: Iterable[WorkflowHistory]) -> list[float]:
    """How long each replay takes, one after the other, in this process and by one worker."""
    replayer = Replayer(workflows=[PromotionWorkflow], data_converter=pydantic_data_converter)
    begun: list[float] = []
    found: list[float] = []

    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            begun.append(time.perf_counter())
            yield history

    async with replayer.workflow_replay_iterator(one_by_one()) as replays:
        async for replay in replays:
            if replay.replay_failure:
                raise replay.replay_failure
            found.append(time.perf_counter() - begun[-1])
    return found


def p50_and_p99(values: list[float]) -> tuple[float, float]:
    """Both quantiles; of one value, that value."""
    if len(values) < 2:
        return values[0], values[0]
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]

"""One worker process of the bench: the real workflows, activities that answer at once."""

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from bench.orchestration.activities import Answers
from bench.orchestration.world import World
from settings import TASK_QUEUE
from worker import WORKFLOWS

_THREADS = 20


async def main() -> None:
    """Runs until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--step-seconds", type=float, required=True)
    order = parser.parse_args()
    client = await Client.connect(order.address, data_converter=pydantic_data_converter)
    answers = Answers(World(order.world), order.step_seconds)
    with ThreadPoolExecutor(_THREADS) as threads:
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=answers.all(),
            activity_executor=threads,
            # a step is watched by a coroutine here: it waits and takes no thread
            max_concurrent_activities=1000,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        ):
            print("worker ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

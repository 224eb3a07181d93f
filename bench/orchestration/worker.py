"""One worker process of the bench: the real workflows, activities that answer at once."""

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.pulse import Pulse
from bench.orchestration.activities import Answers
from bench.orchestration.world import World
from connection.worker_options import ACTIVITY_SLOTS, worker_options
from settings import TemporalSettings
from worker import WORKFLOWS


async def main() -> None:
    """Runs until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--step-seconds", type=float, required=True)
    order = parser.parse_args()
    client = await Client.connect(order.address, data_converter=pydantic_data_converter)
    answers = Answers(World(order.world), order.step_seconds, client)
    options = worker_options(TemporalSettings.from_environment())
    with ThreadPoolExecutor(ACTIVITY_SLOTS) as threads:
        async with Worker(
            client,
            workflows=WORKFLOWS,
            activities=answers.all(),
            activity_executor=threads,
            interceptors=[Pulse()],
            **options,
        ):
            print("worker ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

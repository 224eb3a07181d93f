"""Many promotions in flight while a quarter of the workers is killed again and again."""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.orchestration.machine import Machine, machine
from bench.orchestration.promotions import Promotions
from bench.orchestration.world import World

# a promotion's ladder then lasts long enough for a worker to die in the middle of it
_STEP_SECONDS = 5
_ONCE = ("tag", "changelog", "audit", "record prod")


async def under_load(count: int, services: int, workers: int, kill_every: float) -> dict[str, Any]:
    """How they ended, and whether anything was lost or done twice."""
    with (
        tempfile.TemporaryDirectory() as folder,
        machine(Path(folder), workers, _STEP_SECONDS) as one,
    ):
        client = await Client.connect(one.address, data_converter=pydantic_data_converter)
        promotions = Promotions(client, services)
        began = time.perf_counter()
        killing = asyncio.create_task(_kill(one, kill_every))
        try:
            for begun in range(0, count, services):  # staging has room for one of a service
                await promotions.start(min(services, count - begun))
                await promotions.wait_for_the_question()
            await promotions.approve()
            outcomes = await promotions.see_through()
        finally:
            killing.cancel()
        seconds = time.perf_counter() - began
        records = await _records(client, promotions)
        world = World(one.world)
        found = {
            "promotions": count,
            "services": services,
            "seconds": seconds,
            "kills": one.kills,
            "outcomes": dict(Counter(outcomes)),
            "records": records,
            "split_aliases": len(world.split()),
            "done_twice": _done_twice(world),
        }
        found["nothing_lost"] = (
            found["outcomes"] == {"completed": count}
            and records == count
            and not found["split_aliases"]
        )
        return found


async def _kill(one: Machine, every: float) -> None:
    """A quarter of the workers dies, and as many begin, until the promotions have ended."""
    while True:
        await asyncio.sleep(every)
        for _ in range(max(1, len(one.workers) // 4)):
            await asyncio.to_thread(one.kill_worker)
        print(f"  {one.kills} workers killed", file=sys.stderr)


async def _records(client: Client, promotions: Promotions) -> int:
    """How many records are written: each is a workflow that a promotion left behind."""
    written = 0
    for request, handle in zip(promotions.requests, promotions.handles, strict=True):
        run = (await handle.describe()).run_id
        name = f"record/{request.policy.service}/{request.sha[:12]}/{run[-8:]}"
        await client.get_workflow_handle(name).result()
        written += 1
    return written


def _done_twice(world: World) -> dict[str, int]:
    """Kind -> how often an activity that leaves something ran again after it had done so.

    Each of these is idempotent by its key: here it only counts how often that was needed.
    """
    again: Counter[str] = Counter()
    for (kind, _), times in world.effects().items():
        if kind in _ONCE and times > 1:
            again[kind] += times - 1
    return dict(again)

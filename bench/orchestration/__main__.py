"""`make bench-orchestration`: what a promotion costs Temporal and its workers, AWS left aside.

Real dev server, real worker processes, the real workflows and alias activities; AWS answers at
once. `--load` is the other half: many promotions in flight while workers are killed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.orchestration.load import under_load
from bench.orchestration.machine import machine
from bench.orchestration.measure import answer_seconds, p50_and_p99, replay_seconds, size
from bench.orchestration.promotions import Promotions, approve
from bench.orchestration.show import cost_table, load_table

_SAMPLE = 20  # histories that are looked at and replayed


def main() -> int:
    """0 if every promotion completed (and, under load, nothing was lost or done twice)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10,100,1000", help="promotions that wait at once")
    parser.add_argument("--load", type=int, default=0, help="promotions in flight under kills")
    parser.add_argument("--services", type=int, default=50, help="services they belong to")
    parser.add_argument("--workers", type=int, default=4, help="under load; a quarter is killed")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds")
    parser.add_argument("--json", action="store_true")
    order = parser.parse_args()
    if order.load:
        found = asyncio.run(under_load(order.load, order.services, order.workers, order.kill_every))
        print(json.dumps(found) if order.json else load_table(found))
        return int(not found["nothing_lost"])
    rows = [asyncio.run(_cost(int(count))) for count in order.sizes.split(",")]
    print(json.dumps(rows) if order.json else cost_table(rows))
    return int(any(row["completed"] != row["promotions"] for row in rows))


async def _cost(count: int) -> dict[str, Any]:
    """One size: all wait for their approval together, then all are let in."""
    print(f"{count} promotions …", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory() as folder,
        machine(Path(folder), workers=1, step_seconds=0) as one,
    ):
        client = await Client.connect(one.address, data_converter=pydantic_data_converter)
        promotions = Promotions(client, services=count)
        before = one.cost()
        began = time.perf_counter()
        await promotions.start(count)
        await promotions.wait_for_the_question()
        waiting = time.perf_counter() - began
        asked = one.cost()
        began = time.perf_counter()
        await promotions.approve()
        outcomes = await promotions.see_through()
        released = time.perf_counter() - began
        after = one.cost()
        return {
            "promotions": count,
            "completed": outcomes.count("completed"),
            "to_approval_per_second": count / waiting,
            "from_approval_per_second": count / released,
            "cpu_seconds": {
                part: (after[part].cpu_seconds - before[part].cpu_seconds) / count
                for part in before
            },
            "waiting_bytes": {
                part: (asked[part].memory_bytes - before[part].memory_bytes) / count
                for part in before
            },
            **await _histories(promotions),
            **await _quiet(client, count),
        }


async def _histories(promotions: Promotions) -> dict[str, Any]:
    handles = promotions.handles[:: max(1, len(promotions.handles) // _SAMPLE)][:_SAMPLE]
    histories = [await handle.fetch_history() for handle in handles]
    sizes = [size(history) for history in histories]
    return {
        "events": sum(events for events, _ in sizes) / len(sizes),
        "bytes": sum(length for _, length in sizes) / len(sizes),
        "replay_seconds": p50_and_p99(await replay_seconds(histories)),
    }


async def _quiet(client: Client, already: int) -> dict[str, Any]:
    """How fast a message is answered when nothing else goes on but what has ended stays open."""
    alone = Promotions(client, services=_SAMPLE, first=already)
    await alone.start(_SAMPLE)
    await alone.wait_for_the_question()
    answers: list[float] = []
    for handle in alone.handles:
        await approve(handle)
        await handle.result()
        answer = answer_seconds(await handle.fetch_history())
        if answer is not None:
            answers.append(answer)
    return {"answer_seconds": p50_and_p99(answers)}


if __name__ == "__main__":
    sys.exit(main())

"""The process that runs the laptop cloud: `python -m infra.local.supervisor --settings JSON`.

It starts every part as soon as those it needs are ready, brings back one that dies, and stops
them in reverse. Its standard input is its lifeline: when the other end closes it before
the cloud is ready (or ever, with `--attached`), everything is stopped. Its standard output carries
one JSON object a line for the starter: a part that became ready, then `ready` or `failed`.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.local import state_lock
from infra.local.child import Child, Part
from infra.local.parts import laptop_parts, state_of
from infra.local.settings import LaptopError, LaptopSettings, LaptopState

_LOG_CHECK_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs a set of parts from the first start to the last stop."""

    def __init__(self, parts: Sequence[Part], logs: Path, report: Callable[..., None]) -> None:
        self._children = {part.name: Child(part, logs) for part in parts}
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._guards: list[asyncio.Task[None]] = []
        self._report = report

    async def start(self) -> None:
        """Every part is ready, and will be brought back when it dies.

        Raises:
            LaptopError: a part did not get ready; the others may be running.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children.values():
                    group.create_task(self._bring_up(child))
        except* LaptopError as failures:
            raise LaptopError(str(failures.exceptions[0])) from None
        self._guards.append(asyncio.create_task(self._rotate_logs()))

    async def stop(self) -> None:
        """Nothing runs any more; a part stops only after all that need it have."""
        for guard in self._guards:
            guard.cancel()
        await asyncio.gather(*self._guards, return_exceptions=True)
        left = dict(self._children)
        while left:
            needed = set[str]().union(*(child.part.after for child in left.values()))
            wave = [left.pop(name) for name in list(left) if name not in needed]
            await asyncio.gather(*(child.stop() for child in wave))

    async def _bring_up(self, child: Child) -> None:
        for name in child.part.after:
            await self._ready[name].wait()
        begun = time.monotonic()
        try:
            await child.start()
        except OSError as error:
            raise LaptopError(f"{child.part.name} cannot be started: {error}") from error
        await child.wait_ready()
        self._guards.append(asyncio.create_task(child.keep_alive()))
        self._ready[child.part.name].set()
        self._report(part=child.part.name, seconds=round(time.monotonic() - begun, 2))

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_SECONDS)
            for child in self._children.values():
                child.rotate_log()


async def supervise(parts: Sequence[Part], state: LaptopState, *, attached: bool) -> int:
    """The exit code, once the laptop cloud has run and everything is stopped again."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(signal_number, stopping.set)
    loop.add_reader(sys.stdin.fileno(), _lifeline, stopping)
    supervisor = Supervisor(parts, state.state_dir / "logs", report)
    try:
        if not await _unless(stopping, supervisor.start()):
            return 0
        _write_state(state)
        if not attached:
            loop.remove_reader(sys.stdin.fileno())
        report(ready=state.model_dump(mode="json"))
        await stopping.wait()
    except LaptopError as failure:
        logger.error("%s", failure)
        report(failed=str(failure))
        return 1
    finally:
        loop.remove_reader(sys.stdin.fileno())
        state_lock.state_file(state.state_dir).unlink(missing_ok=True)
        await supervisor.stop()
    return 0


def report(**event: Any) -> None:
    """The starter, if it is still there, has read of the event."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(event).encode() + b"\n")


def main() -> int:
    """Reads the settings, takes the lock, runs the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="LaptopSettings as JSON, ports settled")
    parser.add_argument("--attached", action="store_true", help="stop when standard input closes")
    arguments = parser.parse_args()
    settings = LaptopSettings.model_validate_json(arguments.settings)
    state = state_of(settings, os.getpid())
    return run(lambda: laptop_parts(settings, state), state, attached=arguments.attached)


def run(parts: Callable[[], Sequence[Part]], state: LaptopState, *, attached: bool) -> int:
    """The exit code of a supervisor of these parts; 1 when another one holds the directory."""
    (state.state_dir / "logs").mkdir(parents=True, exist_ok=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    if state_lock.acquire(state.state_dir) is None:
        report(failed=f"another laptop cloud runs in {state.state_dir}")
        return 1
    state_lock.state_file(state.state_dir).unlink(missing_ok=True)
    try:
        return asyncio.run(supervise(parts(), state, attached=attached))
    except LaptopError as failure:
        report(failed=str(failure))
        return 1


async def _unless(stopping: asyncio.Event, work: Any) -> bool:
    """True when the work is done; False when it was given up because of the event."""
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    await task
    return True


def _lifeline(stopping: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stopping.set()


def _write_state(state: LaptopState) -> None:
    target = state_lock.state_file(state.state_dir)
    draft = target.with_suffix(".new")
    draft.write_text(state.model_dump_json(indent=2) + "\n")
    draft.replace(target)


if __name__ == "__main__":
    sys.exit(main())

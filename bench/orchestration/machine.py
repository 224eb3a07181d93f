"""The processes of the bench: Temporal's dev server and workers, and what they cost."""

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.search_attributes import SEARCH_ATTRIBUTES

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What one process has used so far."""

    cpu_seconds: float
    memory_bytes: int

    @classmethod
    def of(cls, process: "subprocess.Popen[Any]") -> "Cost":
        folder = Path(f"/proc/{process.pid}")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime: proc(5)
        resident = int((folder / "statm").read_text().split()[1])
        return cls(ticks / _TICKS, resident * _PAGE)


class Machine:
    """One server and its workers, in a folder of their own."""

    def __init__(self, folder: Path, step_seconds: float) -> None:
        self.folder = folder
        self.world = folder / "world.db"
        self._step_seconds = step_seconds
        self.kills = 0
        self.workers: list[subprocess.Popen[str]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.server = self._start_server()

    def _start_server(self) -> "subprocess.Popen[str]":
        installed = Path(sysconfig.get_path("scripts")) / "temporal"
        return subprocess.Popen(
            [
                *(os.environ.get("TEMPORAL_CLI_PATH", str(installed)), "server", "start-dev"),
                *("--headless", "--ip=127.0.0.1", f"--port={self.address.partition(':')[2]}"),
                *("--log-level=error", f"--db-filename={self.folder / 'temporal.db'}"),
                '--dynamic-config-value=history.timerProcessorMaxTimeShift="10ms"',
                *(f"--search-attribute={name}=Keyword" for name in SEARCH_ATTRIBUTES),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def add_worker(self) -> None:
        """One more worker polls."""
        command = (
            *(sys.executable, "-m", "bench.orchestration.worker", f"--address={self.address}"),
            *(f"--world={self.world}", f"--step-seconds={self._step_seconds}"),
        )
        # into a file: a pipe that nobody reads is full one day, and then the worker stands still
        told = self.folder / f"worker-{time.monotonic_ns()}.log"
        with told.open("w") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
        while "worker ready" not in told.read_text():
            if worker.poll() is not None:
                raise RuntimeError(f"a worker ended at once:\n{told.read_text()}")
            time.sleep(0.05)
        self.workers.append(worker)

    def kill_worker(self) -> None:
        """The oldest worker is gone without a word, and another takes its place."""
        worker = self.workers.pop(0)
        worker.kill()
        worker.wait()
        self.kills += 1
        self.add_worker()

    def cost(self) -> dict[str, Cost]:
        """What the server and the workers together have used."""
        workers = [Cost.of(worker) for worker in self.workers]
        together = Cost(
            sum(one.cpu_seconds for one in workers), sum(one.memory_bytes for one in workers)
        )
        return {"server": Cost.of(self.server), "workers": together}

    def stop(self) -> None:
        for process in (*self.workers, self.server):
            process.kill()
            process.wait()


@contextmanager
def machine(folder: Path, workers: int, step_seconds: float) -> Iterator[Machine]:
    """Server and workers run; nothing is left of them after."""
    one = Machine(folder, step_seconds)
    try:
        _until_it_listens(one)
        for _ in range(workers):
            one.add_worker()
        yield one
    finally:
        one.stop()


def _until_it_listens(one: Machine, seconds: float = 30) -> None:
    host, _, port = one.address.partition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            if one.server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Temporal's dev server did not start") from None
            time.sleep(0.05)
        else:
            return

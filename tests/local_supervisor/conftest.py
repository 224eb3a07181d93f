"""A state directory whose processes are all gone when the test is over."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infra.local import laptop

PATIENCE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def linux_only() -> None:
    """Processes are counted in /proc."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """An empty state directory, with a cloud in it stopped and everything else killed."""
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    laptop.stop(folder, lambda line: None)
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> list[int]:
    """Living processes that have this directory in their arguments or their environment."""
    needle = str(folder).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if needle in known:
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], object], what: str) -> None:
    """The condition holds; fails the test when it does not in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Something accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

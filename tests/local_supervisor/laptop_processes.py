"""Looking at processes and ports from outside."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 30.0


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


def pid_of(folder: Path, needle: bytes) -> int | None:
    """The process of this directory whose command has these words."""
    for pid in processes_of(folder):
        try:
            if needle in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except OSError:
            continue
    return None

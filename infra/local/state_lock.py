"""The lock on a state directory: whoever holds it is the one supervisor that runs there.

The lock, not the state file, is the truth: the kernel drops it when its holder dies, however it
dies. Temporal's SQLite file has no lock of its own, so two servers would share it unnoticed.
"""

import fcntl
import os
import time
from pathlib import Path

_LOCK_FILE = "laptop.lock"
_STATE_FILE = "laptop.json"
_ACQUIRE_SECONDS = 1.0  # a reader holds the lock for microseconds: outlast it


def state_file(state_dir: Path) -> Path:
    """Where the supervisor of this directory says how it is reached."""
    return state_dir / _STATE_FILE


def acquire(state_dir: Path) -> int | None:
    """The descriptor that holds the lock until this process ends; None if another has it."""
    descriptor = os.open(state_dir / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + _ACQUIRE_SECONDS
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(0.02)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def holder(state_dir: Path) -> int | None:
    """The process id of the supervisor that runs here; None when none does.

    A supervisor that has the lock but has not yet written its id counts as none.
    """
    try:
        descriptor = os.open(state_dir / _LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return int(os.pread(descriptor, 20, 0) or 0) or None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

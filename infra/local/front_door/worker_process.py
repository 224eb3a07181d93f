"""A worker's operating system process: in a session of its own, and never an orphan."""

import asyncio
import contextlib
import ctypes
import math
import os
import signal
import sys
from asyncio.subprocess import Process
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded here, not in the child: between fork and exec no library may be looked for.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


async def start_process(
    command: tuple[str, ...], folder: Path, environment: dict[str, str], output: int
) -> Process:
    """The command runs in this folder with exactly this environment.

    Args:
        output: the file descriptor that takes its stdout and stderr.

    Raises:
        OSError: it could not be started.
    """
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=partial(_die_with, os.getpid()) if _LIBC is not None else None,
    )


def peak_memory_mb(process: Process) -> int | None:
    """The most memory that the process ever held, in whole MB; None where it cannot be read.

    Lambda's "Max Memory Used" is the execution environment's peak, too. Linux only.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return math.ceil(int(line.split()[1]) / 1024)
    return None  # it has ended and waits to be reaped


def kill_group(process: Process) -> None:
    """The process and its children are killed. Harmless when repeated."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _die_with(parent: int) -> None:
    """Runs in the child before exec: on Linux the kernel kills it when `parent` ends.

    Elsewhere the runtime client itself ends, because its Runtime API is gone.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the front door ended before prctl: no signal will come
            os._exit(1)

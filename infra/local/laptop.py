"""The laptop cloud seen from outside: start it, find it, stop it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.local import free_ports, state_lock
from infra.local.settings import (
    PROJECT_ROOT,
    Addresses,
    AlreadyRunning,
    LaptopError,
    LaptopSettings,
    LaptopState,
    Ports,
)

__all__ = [
    "Addresses",
    "AlreadyRunning",
    "LaptopError",
    "LaptopSettings",
    "LaptopState",
    "Ports",
    "running",
    "start",
    "stop",
]

Progress = Callable[[str], None]

# The slowest stop: 10 s for the worker, 4 s for the front door, 10 s in which ministack saves.
_STOP_SECONDS = 25.0
_LOG_TAIL_LINES = 8

# Held for the life of this process: a supervisor lives on after its starter's call has returned,
# and an attached one stops when its lifeline closes.
_started: list[subprocess.Popen[bytes]] = []


def start(settings: LaptopSettings, *, attached: bool, progress: Progress) -> LaptopState:
    """The laptop cloud is ready; it stays after this process ends unless `attached`.

    Raises:
        AlreadyRunning: one is up in this state directory; carries how it is reached.
        LaptopError: a port is taken or a part did not start; nothing was left running.
    """
    refuse_second(settings.state_dir)
    unused: frozenset[str] = frozenset()
    if settings.temporal_address:
        _check_reachable(settings.temporal_address)
        unused = frozenset({"temporal", "temporal_ui"})
    settled = settings.model_copy(update={"ports": free_ports.settle(settings.ports, unused)})
    command = [sys.executable, "-m", "infra.local.supervisor"]
    command += ["--settings", settled.model_dump_json(), *(["--attached"] if attached else [])]
    return launch(command, settings.state_dir, attached=attached, progress=progress)


def running(state_dir: Path) -> LaptopState | None:
    """How the laptop cloud of this directory is reached; None when none is ready there."""
    if state_lock.holder(state_dir) is None:
        return None
    try:
        return LaptopState.model_validate_json(state_lock.state_file(state_dir).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def stop(state_dir: Path, progress: Progress) -> bool:
    """The laptop cloud of this directory is gone; False when there was none."""
    pid = state_lock.holder(state_dir)
    if pid is None:
        return False
    begun = time.monotonic()
    progress("stopping: the worker first, then the rest")
    _signal(pid, signal.SIGTERM)
    if not _released(state_dir, pid, _STOP_SECONDS):
        progress("it did not stop in time and is killed")
        _signal(pid, signal.SIGKILL)
        _released(state_dir, pid, _STOP_SECONDS)
    progress(f"stopped in {time.monotonic() - begun:.1f} s")
    return True


def refuse_second(state_dir: Path) -> None:
    """No supervisor holds this directory.

    Raises:
        AlreadyRunning: one is ready.
        LaptopError: one is starting or stopping at this moment.
    """
    pid = state_lock.holder(state_dir)
    if pid is not None:
        state = running(state_dir)
        if state is not None:
            raise AlreadyRunning(state)
        raise LaptopError(f"the laptop cloud is starting or stopping (pid {pid}); try again")


def launch(
    command: Sequence[str], state_dir: Path, *, attached: bool, progress: Progress
) -> LaptopState:
    """Runs a supervisor apart from this terminal and returns when it says that all is ready."""
    log = state_dir / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=PROJECT_ROOT,
            start_new_session=True,  # Ctrl-C in the terminal reaches the starter only
        )
    try:
        state = _follow(supervisor, log, progress)
    except BaseException:
        _cut(supervisor)
        raise
    _started.append(supervisor)
    if not attached and supervisor.stdin:
        supervisor.stdin.close()
    return state


def _follow(supervisor: subprocess.Popen[bytes], log: Path, progress: Progress) -> LaptopState:
    for line in supervisor.stdout or ():
        event: dict[str, Any] = json.loads(line)
        if "ready" in event:
            return LaptopState.model_validate(event["ready"])
        if "failed" in event:
            raise LaptopError(event["failed"])
        progress(f"{event['part']} ready in {event['seconds']:.1f} s")
    tail = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    lines = "".join(f"\n  {line}" for line in tail)
    raise LaptopError(f"the supervisor ended before all was ready; its log is {log}{lines}")


def _cut(supervisor: subprocess.Popen[bytes]) -> None:
    """The lifeline is closed and the supervisor, with all its parts, is gone."""
    if supervisor.stdin:
        supervisor.stdin.close()
    try:
        supervisor.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    if supervisor.stdout:
        supervisor.stdout.close()


def _released(state_dir: Path, pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while state_lock.holder(state_dir) == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise LaptopError(f"no Temporal server answers at {address}: {error}") from error


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

"""A command of the project: no shell, a clean environment, a bounded output, and no orphans."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from release.project_checks import Finished

_LEASH = Path(__file__).with_name("leash.py")
_KEPT = ("LANG", "LC_ALL", "TZ")
_TAIL_BYTES = 64 * 1024
# a pipe holds up to 1 MiB; not read to its end, which a program that left the group may withhold
_LAST_READS = 16
_POLL_SECONDS = 0.1
_POLITE_SECONDS = 1.0  # a stopping worker has 2 s after its activities are cancelled


def clean_environment(home: Path, scratch: Path) -> dict[str, str]:
    """What a command may know of this machine: where the programs are, and the language.

    Listed is what is let through: no credential, token or address can slip past a list.
    """
    programs = Path(sys.executable).parent  # not resolved: a virtual environment's is a link
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "CI": "true",
    }


def run_command(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    timeout: timedelta,
    go_on: Callable[[], None],
) -> Finished:
    """How the command ended; when this returns or raises, its whole process group is gone.

    Args:
        go_on: called about ten times a second; what it raises stops the command.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    tail = b""
    with _group(arguments, folder, environment) as process, _readable(process) as read:
        while not _has_ended(process):
            if time.monotonic() > deadline:
                problem = f"was stopped: still running after {_words(timeout)}"
                return Finished(output=_text(tail), problem=problem)
            go_on()
            tail = (tail + read(_POLL_SECONDS))[-_TAIL_BYTES:]
        _stop(process)
        for _ in range(_LAST_READS):
            tail = (tail + read(0))[-_TAIL_BYTES:]
    return Finished(exit_code=process.returncode, output=_text(tail))


@contextmanager
def _group(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-I", str(_LEASH), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,  # never written to: see the leash
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """The group is gone. Harmless when repeated."""
    if process.returncode is not None:
        return
    # The leader is reaped last: until then its number, which is the group's, is nobody else's.
    if not _has_ended(process):
        os.killpg(process.pid, signal.SIGINT)  # tests take down what they started elsewhere
        deadline = time.monotonic() + _POLITE_SECONDS
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Looks without reaping."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@contextmanager
def _readable(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[float], bytes]]:
    """A reader of the output that waits so many seconds for some; b"" is none yet, or its end."""
    assert process.stdout is not None  # noqa: S101  asked for above
    output = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)

        def read(seconds: float) -> bytes:
            if not selector.select(seconds):
                return b""
            chunk = os.read(output, _TAIL_BYTES)
            if not chunk and selector.get_map():
                selector.unregister(output)  # closed, and still running: it would be ready for ever
            return chunk

        yield read


def _text(tail: bytes) -> str:
    return tail.decode(errors="replace")


def _words(time_limit: timedelta) -> str:
    seconds = time_limit.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"

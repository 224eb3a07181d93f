"""One process of the laptop cloud: started, known to be ready, brought back, stopped."""

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.settings import PROJECT_ROOT, LaptopError

_PAUSES_SECONDS = (0.2, 1.0, 5.0, 15.0)
_STEADY_SECONDS = 60.0  # having lived this long, a child's next death pauses from the start again
_LOG_BYTES = 20 * 1024 * 1024
_LOG_TAIL_LINES = 8
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A process and what is known about it. Without a readiness check it is ready once started."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    after: frozenset[str] = frozenset()
    ready_url: str | None = None
    ready_command: tuple[str, ...] = ()  # ready when it ends with 0; may also settle things
    ready_line: str | None = None  # ready when the log has this line
    ready_seconds: float = 45.0
    stop_seconds: float = 4.0
    folders: tuple[Path, ...] = field(default=())  # made before it starts


class Child:
    """The running process of a part."""

    def __init__(self, part: Part, logs: Path) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    async def start(self) -> None:
        """The process runs; its output goes to the end of its log."""
        for folder in self.part.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self.rotate_log()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self.part.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT_ROOT,
                env=dict(self.part.environment),
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )

    async def wait_ready(self) -> None:
        """The part answers.

        Raises:
            LaptopError: it ended or said nothing in its time; the text shows the end of its log.
        """
        deadline = time.monotonic() + self.part.ready_seconds
        while not await self._is_ready():
            if self._process is None or self._process.returncode is not None:
                code = self._process.returncode if self._process else None
                raise self._failure(f"ended while starting (exit code {code})")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {self.part.ready_seconds:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def keep_alive(self) -> None:
        """Never returns: a process that ends is started again after a growing pause."""
        deaths = 0
        while True:
            born = time.monotonic()
            code = await self._process.wait() if self._process else None
            deaths = deaths + 1 if time.monotonic() - born < _STEADY_SECONDS else 1
            pause = _PAUSES_SECONDS[min(deaths, len(_PAUSES_SECONDS)) - 1]
            logger.warning("%s ended (%s); again in %g s", self.part.name, code, pause)
            self._sweep()
            await asyncio.sleep(pause)
            await self._come_back()

    async def stop(self) -> None:
        """The process and all it started are gone; asked first, killed when its time is over."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), self.part.stop_seconds)
            except TimeoutError:
                logger.warning("%s did not stop in time; killed", self.part.name)
        self._sweep()
        await self._process.wait()

    def rotate_log(self) -> None:
        """A log over its size becomes `.log.1`; the running process goes on writing at the top."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            # Copied, not renamed: the process keeps its descriptor, and appends.
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    async def _come_back(self) -> None:
        try:
            await self.start()
            await self.wait_ready()
            logger.warning("%s is back", self.part.name)
        except (LaptopError, OSError) as error:
            logger.error("%s", error)

    def _sweep(self) -> None:
        """What the process itself started dies too: it leads a group of its own."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return

    async def _is_ready(self) -> bool:
        part = self.part
        if part.ready_line is not None and part.ready_line not in self._log_lines():
            return False
        if part.ready_url is not None and not await _answers(part.ready_url):
            return False
        return not part.ready_command or await _succeeds(part.ready_command, part.environment)

    def _log_lines(self) -> list[str]:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").splitlines()

    def _failure(self, what: str) -> LaptopError:
        tail = "".join(f"\n  {line}" for line in self._log_lines()[-_LOG_TAIL_LINES:])
        return LaptopError(f"{self.part.name} {what}; its log is {self.log}{tail}")


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """What a new process does first, so that it cannot outlive its parent; Linux only."""
    if _libc is None:
        return None
    prctl = _libc.prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


async def _answers(url: str) -> bool:
    host, _, path = url.removeprefix("http://").partition("/")
    address, _, port = host.partition(":")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address, int(port))
            writer.write(
                f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


async def _succeeds(command: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(environment),
        preexec_fn=die_with_parent(os.getpid()),
    )
    try:
        async with asyncio.timeout(10):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

"""A worker's stdout and stderr as lines, readable up to this very instant."""

import asyncio
import contextlib
import os
from collections.abc import Callable


class LogPipe:
    """The worker writes into `write_end`; each whole line is handed to `emit`."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._partial = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self.read)

    def handed_over(self) -> None:
        """The worker has its own copy of the write end; ours is closed."""
        os.close(self.write_end)

    def read(self, *, to_end: bool = False) -> None:
        """The pipe is read empty, at once: what a handler printed precedes its END line.

        Args:
            to_end: a last line without a line end counts as well.
        """
        data = self._partial
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._read_end, 65536):
                data += chunk
            self._stop_watching()  # every writer has ended
        *lines, self._partial = data.split(b"\n")
        if to_end and self._partial:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            # The runtime client joins the lines of a stack trace by carriage returns.
            self._emit(line.decode("utf-8", "replace").replace("\r", "\n"))

    def close(self) -> None:
        """The last lines are emitted and the pipe is closed."""
        self.read(to_end=True)
        self._stop_watching()
        os.close(self._read_end)

    def _stop_watching(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)

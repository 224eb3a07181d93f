"""Workers as processes of their own: of today's code, or of another tree's."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Nursery:
    """One worker at a time, forked from a process of its tree; only what was forked is ever killed.

    `tree` is whose code the next worker runs.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.tree = ROOT
        self.kills = 0
        self.trees: dict[int, Path] = {}  # by pid, of every worker there was
        self._forking: dict[Path, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self._alive: int | None = None

    def start(self, environment: dict[str, str]) -> None:
        """One worker runs."""
        with self._lock:
            if self._alive is None:
                self._alive = self._fork(environment)
                self.trees[self._alive] = self.tree

    def kill(self) -> None:
        """No worker runs: it had no time to say or do anything."""
        with self._lock:
            if self._alive is not None:
                os.kill(self._alive, signal.SIGKILL)
                self._alive = None
                self.kills += 1

    def is_up(self) -> bool:
        """Whether the worker has neither been killed nor ended by itself."""
        return self._alive is not None and Path(f"/proc/{self._alive}").exists()

    def close(self) -> None:
        """Nothing that was forked runs, nor what forks."""
        self.kill()
        for forking in self._forking.values():
            assert forking.stdin is not None
            forking.stdin.close()
            forking.wait(10)

    def _fork(self, environment: dict[str, str]) -> int:
        forking = self._forking.get(self.tree)
        if forking is None:
            forking = self._forking[self.tree] = self._begin()
        assert forking.stdin is not None
        assert forking.stdout is not None
        order = {"environment": environment, "log": str(self.log)}
        forking.stdin.write(json.dumps(order) + "\n")
        forking.stdin.flush()
        return int(forking.stdout.readline())

    def _begin(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py"), str(self.tree)],
            cwd=self.tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.log.parent / "nursery.log").open("ab"),
            text=True,
        )


def tree_of_the_version_before(folder: Path) -> Path | None:
    """The release system's code as it was before the version in pyproject.toml was raised last.

    None where git's history does not reach so far back.
    """
    raised = _git("log", "-1", "--format=%H", "-G", "^version = ", "--", "pyproject.toml")
    before = _git("rev-parse", "--verify", "--quiet", f"{raised.strip()}^")
    if not raised.strip() or not before.strip():
        return None
    if not folder.exists():
        clone = ("git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
        checkout = ("git", "-C", str(folder), "checkout", "--quiet", "--detach", before.strip())
        subprocess.run(clone, check=True)
        subprocess.run(checkout, check=True)
    return folder


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout

"""git commands that add to the worker's repository: no hook, no signature, no working tree."""

import os
import subprocess
from datetime import datetime
from pathlib import Path

from temporalio.exceptions import ApplicationError

from activities.release_words import cannot

_SECONDS = 60
_AUTHOR = {"NAME": "Release", "EMAIL": "release@localhost"}
_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")  # update-ref and tag run some, too


class GitRepository:
    """One repository, written to as of one moment: a retry makes the same objects again."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self._folder = folder
        people = {
            f"GIT_{role}_{name}": value
            for role in ("AUTHOR", "COMMITTER")
            for name, value in {**_AUTHOR, "DATE": f"{int(at.timestamp())} +0000"}.items()
        }
        # GIT_DIR and its kin would lead to another repository
        known = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._variables = known | people | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}

    def ask(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes | None:
        """git's answer, or None if it says no."""
        done = self._run(arguments, stdin, index)
        return done.stdout if done.returncode == 0 else None

    def tell(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> str:
        """It is done; git's one line.

        Raises:
            ApplicationError: git's words. To be tried again: a lock passes, a full disk is mended.
        """
        done = self._run(arguments, stdin, index)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise ApplicationError(f"git {arguments[0]}: {said}", type="GitFailed")
        return os.fsdecode(done.stdout).strip()

    def commit(self, revision: str, advice: str) -> str:
        """The full sha.

        Raises:
            ApplicationError: not retryable when there is no such commit.
        """
        done = self._run(("rev-parse", "--verify", f"{revision}^{{commit}}"))
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
            text = f"the worker's repository has no {revision} ({said}); {advice}"
            raise cannot(text)
        return done.stdout.decode().strip()

    def _run(
        self, arguments: tuple[str, ...], stdin: bytes = b"", index: Path | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        own_index = {} if index is None else {"GIT_INDEX_FILE": str(index)}
        return subprocess.run(
            ["git", "-C", str(self._folder), *_NO_HOOKS, *arguments],
            env=self._variables | own_index,
            input=stdin,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )

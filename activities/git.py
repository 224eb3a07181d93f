"""What git says of the repository that is released from; nothing is written to it."""

import subprocess
from pathlib import Path

_SECONDS = 30


def git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """git's answer; a command that says no has a return code, and raises nothing."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )


def is_ancestor(repository: Path, sha: str, of: str) -> bool:
    """Whether the one commit leads to the other; False where git does not know both."""
    return git(repository, "merge-base", "--is-ancestor", sha, of).returncode == 0

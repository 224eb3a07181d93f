"""git as the tests use it: in a folder of theirs, as a person of theirs."""

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=carol", "-c", "user.email=carol@example.org")


def git(folder: Path, *arguments: str) -> str:
    """git's answer; a command that says no fails the test."""
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

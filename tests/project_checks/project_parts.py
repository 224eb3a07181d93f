"""What these tests are made of: a project in a repository of its own, and the activity on it."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.inputs import ProjectChecksInput
from activities.project_checks import ProjectChecks
from release.policy import Ci
from release.verdict import CheckResult

PATIENCE = timedelta(seconds=60)


class Project:
    """A git repository whose commits hold just the files of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, **files: str) -> str:
        """The sha of a commit with these files; `check_py` is check.py."""
        for name, content in files.items():
            path = self.folder / ".".join(name.rsplit("_", 1))
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """git's answer."""
        identity = ("-c", "user.name=carol", "-c", "user.email=carol@example.org")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()


class Checker:
    """Runs the activity as a worker does, and remembers its heartbeats."""

    def __init__(self, project: Project) -> None:
        self.environment = ActivityEnvironment()
        self.heartbeats: list[Any] = []
        self.environment.on_heartbeat = lambda *details: self.heartbeats.append(details[0])
        self._activity = ProjectChecks(project.folder).run_project_checks

    def run(
        self,
        sha: str,
        *checks: str,
        timeout: timedelta = PATIENCE,
        coverage_percent: int = 80,
        **commands: str,
    ) -> list[CheckResult]:
        """The results of the named checks, or else of all that have a command."""
        order = ProjectChecksInput(
            sha=sha,
            checks=checks or tuple(commands),
            ci=Ci(commands=commands, timeout=timeout),
            coverage_percent=coverage_percent,
        )
        return self.environment.run(self._activity, order)

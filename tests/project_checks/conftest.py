"""A project in a repository of its own, and the activity that checks its commits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from release.verdict import CheckResult
from tests.project_checks.project_parts import Checker, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path / "project")


@pytest.fixture
def checker(project: Project) -> Checker:
    """The activity on that project."""
    return Checker(project)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this process, as a worker, makes its temporary ones."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def one(checker: Checker) -> Callable[..., CheckResult]:
    """The result of a single check."""

    def run(sha: str, *checks: str, **more: Any) -> CheckResult:
        [result] = checker.run(sha, *checks, **more)
        return result

    return run

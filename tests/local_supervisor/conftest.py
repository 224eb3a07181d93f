"""A state directory whose processes are all gone when the test is over."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import laptop
from infra.local.settings import PROJECT_ROOT
from tests.local_supervisor.laptop_processes import processes_of


@pytest.fixture(autouse=True)
def linux_only() -> None:
    """Processes are counted in /proc."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state directory; afterwards its cloud is stopped and everything else killed."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    laptop.stop(folder, lambda line: None)
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)

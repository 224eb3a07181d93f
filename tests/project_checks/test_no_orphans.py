"""Whatever ends a command, its whole process group ends with it, and nothing else does."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import CancelledError

from release.verdict import Verdict
from tests.local_supervisor.laptop_processes import wait_until
from tests.project_checks.project_parts import Checker, Project

ROOT = Path(__file__).resolve().parents[2]

# Deaf to polite signals, with a child and a grandchild that are too; all three note their pid.
FAMILY = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork():
        break
with open({pids!r}, "a") as pids:
    print(os.getpid(), file=pids)
{then}
"""
HANGS = "time.sleep(600)"


class Family:
    """The processes of the command, as they told their numbers."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def program(self, then: str = HANGS) -> str:
        """The command's source."""
        return FAMILY.format(pids=str(self._file), then=then)

    def pids(self) -> list[int]:
        """Those that have started."""
        return [int(pid) for pid in self._file.read_text().split()] if self._file.exists() else []

    def living(self) -> list[int]:
        """Those that run; a zombie does not."""
        return [pid for pid in self.pids() if runs(pid)]


def runs(pid: int) -> bool:
    """Whether the process exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """A family of which nobody outlives the test."""
    family = Family(tmp_path / "pids")
    yield family
    for pid in family.living():
        os.kill(pid, signal.SIGKILL)


def test_hanging_command_is_killed_with_its_children(
    project: Project, checker: Checker, family: Family
) -> None:
    """After the time limit nothing of the command runs, however deaf it is."""
    sha = project.commit(check_py=family.program())

    [result] = checker.run(sha, timeout=timedelta(seconds=4), tests="python check.py")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert len(family.pids()) == 3
    wait_until(lambda: not family.living(), "all three are gone")


def test_children_left_behind_are_killed(
    project: Project, checker: Checker, family: Family
) -> None:
    """A command that ends well takes the servers along that it forgot, and is not waited for."""
    sha = project.commit(
        check_py=family.program(
            f"while len(open({str(family._file)!r}).readlines()) < 3: time.sleep(0.01)\n"
            "if os.getppid() != os.getpgid(0): time.sleep(600)"
        )
    )

    [result] = checker.run(sha, tests="python check.py")

    assert result.verdict is Verdict.PASSED
    assert len(family.pids()) == 3
    wait_until(lambda: not family.living(), "all three are gone")


def test_cancelled_activity_kills_its_command_and_only_that(
    project: Project, checker: Checker, family: Family, scratch: Path
) -> None:
    """An aborted promotion leaves nothing running, and touches nobody else's process."""
    sha = project.commit(check_py=family.program())
    ended: list[BaseException] = []

    def work() -> None:
        try:
            checker.run(sha, tests="python check.py")
        except CancelledError as cancelled:
            ended.append(cancelled)

    with subprocess.Popen([sys.executable, "-c", f"import time; {HANGS}"]) as bystander:
        try:
            thread = threading.Thread(target=work)
            thread.start()
            wait_until(lambda: len(family.pids()) == 3, "the command runs")
            checker.environment.cancel()
            thread.join(30)

            assert len(ended) == 1
            wait_until(lambda: not family.living(), "all three are gone")
            assert bystander.poll() is None
            assert list(scratch.iterdir()) == []
        finally:
            bystander.kill()


def test_polite_end_comes_first(project: Project, checker: Checker, tmp_path: Path) -> None:
    """A suite can take down what it started elsewhere: it is interrupted before it is killed."""
    note = tmp_path / "note"
    sha = project.commit(
        check_py=f"import time\ntry:\n    time.sleep(600)\nfinally:\n    open({str(note)!r}, 'w')"
    )

    checker.run(sha, timeout=timedelta(seconds=3), tests="python check.py")

    assert note.exists()


def test_killed_worker_leaves_no_command(family: Family, tmp_path: Path) -> None:
    """The command ends with its worker, even by SIGKILL, when the worker can stop nothing."""
    (tmp_path / "check.py").write_text(family.program())
    worker = f"""
import sys
from datetime import timedelta
from pathlib import Path
from activities.command import run_command
run_command([sys.executable, "check.py"], Path({str(tmp_path)!r}), {{}},
            timedelta(minutes=5), lambda: None)
"""
    with subprocess.Popen([sys.executable, "-c", worker], cwd=ROOT) as process:
        try:
            wait_until(lambda: len(family.pids()) == 3, "the command runs")
        finally:
            process.kill()

    wait_until(lambda: not family.living(), "all three are gone")

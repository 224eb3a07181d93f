"""Project checks: the project's own tests and tools, run on a clean checkout of the commit."""

import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.checkout import check_out
from activities.command import clean_environment, run_command
from activities.inputs import ProjectChecksInput
from release.project_checks import (
    COVERAGE,
    TESTS,
    Coverage,
    Finished,
    coverage_of_json,
    coverage_of_output,
    coverage_of_xml,
    judge_command,
    judge_coverage,
    text_of,
    unconfigured,
)
from release.verdict import CheckResult

_REPORTS: dict[str, Callable[[str], Coverage]] = {
    "coverage.json": coverage_of_json,
    "coverage.xml": coverage_of_xml,
}


class ProjectChecks:
    """Runs what `[ci.commands]` names; nothing is kept from one run to the next."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    # a cancellation is looked for between two steps: raised in the midst of one, it could leave
    # a process behind
    @activity.defn(no_thread_cancel_exception=True)
    def run_project_checks(self, order: ProjectChecksInput) -> list[CheckResult]:
        """One result per check, in order; inconclusive where a command could not run to its end.

        The commands are those of the promoted commit, with this user's rights: the environment
        is clean, but this is no sandbox.

        Raises:
            ApplicationError: not retryable when the repository has no such commit.
        """
        activity.heartbeat("checkout")
        with tempfile.TemporaryDirectory(prefix="checks-", ignore_cleanup_errors=True) as folder:
            run = _Run(order, Path(folder))
            check_out(self._repository, order.sha, run.checkout)
            return [run.result(check) for check in order.checks]


class _Run:
    """The commands of one commit, each run once in the same checkout, one after the other."""

    def __init__(self, order: ProjectChecksInput, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self._order = order
        self._environment = clean_environment(folder / "home", folder / "tmp")
        self._finished: dict[str, Finished] = {}
        for name in ("checkout", "home", "tmp"):
            (folder / name).mkdir()

    def result(self, check: str) -> CheckResult:
        text = text_of(check, self._order.coverage_percent)
        if self._order.ci.commands.get(check):
            return judge_command(check, text, self._run(check))
        if check == COVERAGE and self._order.ci.commands.get(TESTS):
            return self._coverage()
        return unconfigured(check, text, "ci.commands")

    def _coverage(self) -> CheckResult:
        tests = self._run(TESTS)
        percent = self._order.coverage_percent
        if tests.problem:
            return judge_coverage(None, percent, f"the tests did not end: {tests.problem}")
        for name, read in _REPORTS.items():
            report = self.checkout / name
            if not report.is_file():
                continue
            try:
                return judge_coverage(read(report.read_text()), percent)
            except (OSError, ValueError) as error:
                return judge_coverage(None, percent, f"{name} cannot be read: {error}")
        why = f"the tests wrote none of {', '.join(_REPORTS)}, and printed no TOTAL line"
        return judge_coverage(coverage_of_output(tests.output), percent, why)

    def _run(self, check: str) -> Finished:
        if check not in self._finished:
            self._finished[check] = self._run_now(check)
        return self._finished[check]

    def _run_now(self, check: str) -> Finished:
        if check == TESTS:
            for report in (self.checkout / name for name in _REPORTS):
                if report.is_file():  # a committed one was measured on something else
                    report.unlink()
        ci = self._order.ci
        try:
            arguments = shlex.split(ci.commands[check])
            return run_command(
                arguments, self.checkout, self._environment, ci.timeout, _watcher(check)
            )
        except ValueError as error:  # an open quote, or a NUL
            return Finished(problem=f"the command in [ci.commands] cannot be read: {error}")


def _watcher(check: str) -> Callable[[], None]:
    """Says every second that the check goes on; raises once the activity is cancelled."""
    begin = time.monotonic()
    said = -1

    def go_on() -> None:
        nonlocal said
        if activity.is_cancelled():
            raise CancelledError(f"the project's checks were cancelled during {check}")
        seconds = int(time.monotonic() - begin)
        if seconds > said:
            said = seconds
            activity.heartbeat(f"{check}: {seconds} s")

    return go_on

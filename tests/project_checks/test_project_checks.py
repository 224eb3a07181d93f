"""The project's own commands, run for real on commits that each test makes."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from release.verdict import CheckResult, Verdict
from tests.project_checks.project_parts import Checker, Project

PYTEST = "python -m pytest -q -p no:cacheprovider"
One = Callable[..., CheckResult]


def writes_coverage(percent: float, lines: int = 5120) -> str:
    """A tests command's program that leaves such a report."""
    report = {"totals": {"percent_covered": percent, "num_statements": lines}}
    return f"open('coverage.json', 'w').write({json.dumps(report)!r})"


def test_failing_tests_fail_with_their_names(project: Project, one: One) -> None:
    """A red test stops the release, and the evidence says which one."""
    sha = project.commit(
        test_it_py="def test_sum():\n    assert 1 + 1 == 3\n\n\ndef test_fine():\n    pass\n"
    )

    result = one(sha, tests=PYTEST)

    assert result.verdict is Verdict.FAILED
    assert result.text == "All tests passing"
    assert result.evidence.startswith("1 failed, 1 passed in ")
    assert "test_it.py::test_sum" in result.evidence


def test_no_tests_at_all_fail(project: Project, one: One) -> None:
    """Tests that were never collected are not passing tests."""
    result = one(project.commit(), tests=PYTEST)

    assert result.verdict is Verdict.FAILED
    assert "no tests ran" in result.evidence


def test_lint_errors_fail_with_their_places(project: Project, one: One) -> None:
    """The first complaints stand in the evidence, with file and line."""
    sha = project.commit(code_py="import os\nimport sys\n")

    result = one(sha, lint="ruff check --isolated --no-cache --output-format concise .")

    assert result.verdict is Verdict.FAILED
    assert result.evidence.startswith("Found 2 errors.; code.py:1:8: F401")


def test_passing_tests_pass_with_their_number(project: Project, one: One) -> None:
    """Green tests pass, and the evidence counts them."""
    result = one(project.commit(test_it_py="def test_fine():\n    pass\n"), tests=PYTEST)

    assert result.verdict is Verdict.PASSED
    assert result.evidence.startswith("1 passed in ")


def test_coverage_below_the_limit_fails(project: Project, one: One) -> None:
    """79.96 % is not 80 %, and is not shown as it."""
    sha = project.commit(check_py=writes_coverage(79.96))

    result = one(sha, "coverage", tests="python check.py")

    assert result.verdict is Verdict.FAILED
    assert result.text == "Code coverage > 80 %"
    assert result.evidence == "79.9 % of 5,120 lines"


def test_coverage_above_the_limit_passes(project: Project, checker: Checker) -> None:
    """The tests run once for both items, whichever is asked first."""
    sha = project.commit(check_py=writes_coverage(86.4) + "; print('ran')")

    coverage, tests = checker.run(sha, "coverage", "tests", tests="python check.py")

    assert (coverage.verdict, coverage.evidence) == (Verdict.PASSED, "86.4 % of 5,120 lines")
    assert (tests.verdict, tests.evidence) == (Verdict.PASSED, "ran")


def test_coverage_without_a_report_is_inconclusive(project: Project, one: One) -> None:
    """A suite that measures nothing says nothing, even if a report was committed."""
    sha = project.commit(coverage_json='{"totals": {"percent_covered": 99, "num_statements": 9}}')

    result = one(sha, "coverage", tests="true")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "wrote none of coverage.json, coverage.xml" in result.evidence


def test_unreadable_coverage_is_inconclusive(project: Project, one: One) -> None:
    """Half a report is none."""
    sha = project.commit(check_py="open('coverage.json', 'w').write('{')")

    result = one(sha, "coverage", tests="python check.py")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "coverage.json cannot be read" in result.evidence


@pytest.mark.parametrize(
    "command", ["no-such-program --at all", "./check.py", "sh -c no-such-program", "make -s gone"]
)
def test_command_that_cannot_start_is_inconclusive(
    project: Project, one: One, command: str
) -> None:
    """A missing tool says nothing of the commit, directly, by a shell or by make."""
    sha = project.commit(check_py="", Makefile="gone:\n\tno-such-program\n")

    result = one(sha, lint=command)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "could not" in result.evidence


def test_command_with_an_open_quote_is_inconclusive(project: Project, one: One) -> None:
    """A slip in release.toml is told where it is."""
    result = one(project.commit(), lint="echo 'open")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence == "the command in [ci.commands] cannot be read: No closing quotation"


def test_check_without_command_is_inconclusive(project: Project, checker: Checker) -> None:
    """What nobody configured is not passed; where to do it is said."""
    results = checker.run(project.commit(), "types", "coverage", lint="true")

    assert [result.verdict for result in results] == [Verdict.INCONCLUSIVE] * 2
    assert "configure it in [ci.commands]" in results[0].evidence


def test_killed_command_is_inconclusive(project: Project, one: One) -> None:
    """A command that the machine killed, for its memory say, has not judged the commit."""
    sha = project.commit(check_py="import os\nos.kill(os.getpid(), 9)")

    result = one(sha, tests="python check.py")

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence == "was killed by SIGKILL"


def test_unknown_commit_is_refused(project: Project, checker: Checker) -> None:
    """A commit that is not there cannot be checked, and trying again does not help."""
    project.commit()

    with pytest.raises(ApplicationError) as refused:
        checker.run("d" * 40, lint="true")

    assert refused.value.non_retryable
    assert refused.value.type == "NoCheckout"


def test_dirty_working_tree_is_ignored(project: Project, one: One) -> None:
    """Neither changed nor new nor staged files, nor later commits, reach the checks."""
    sha = project.commit(check_py="import os; print(*sorted(os.listdir()), open('a.txt').read())")
    sha = project.commit(a_txt="committed")
    project.commit(a_txt="later")
    (project.folder / "a.txt").write_text("changed")
    (project.folder / "new.txt").write_text("new")
    project.git("add", "new.txt")
    before = project.git("status", "--porcelain")

    result = one(sha, lint="python check.py")

    assert result.evidence == ".git a.txt check.py committed"
    assert project.git("status", "--porcelain") == before


def test_hooks_do_not_run(project: Project, one: One, tmp_path: Path) -> None:
    """A hook of the repository runs on no checkout of ours."""
    sha = project.commit()
    hook = project.folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)

    assert one(sha, lint="git status").verdict is Verdict.PASSED
    assert not (tmp_path / "hooked").exists()


def test_a_command_can_reach_no_branch_of_the_repository(project: Project, one: One) -> None:
    """The checkout is a repository of its own: commits and pushes go nowhere."""
    sha = project.commit()

    assert one(sha, lint="git branch mine").verdict is Verdict.PASSED
    assert one(sha, lint="git push origin HEAD:refs/heads/mine").verdict is Verdict.FAILED
    assert project.git("branch", "--list", "mine") == ""


def test_secrets_of_the_worker_are_not_seen(
    project: Project, one: One, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command knows the programs and the language of the machine, and nothing else of it."""
    for name in ("AWS_SECRET_ACCESS_KEY", "TEMPORAL_API_KEY", "GITHUB_TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    seen = tmp_path / "seen"
    sha = project.commit(check_py=f"import os\nopen({str(seen)!r}, 'w').write(repr(os.environ))")

    assert one(sha, lint="python check.py").verdict is Verdict.PASSED

    environment = eval(seen.read_text(), {"environ": dict})
    known = {"PATH", "HOME", "TMPDIR", "CI", "LANG", "LC_ALL", "TZ"}
    assert set(environment) - {"LC_CTYPE", "PWD", "SHLVL", "_"} <= known
    assert environment["HOME"] != environment["TMPDIR"]


def test_large_output_is_kept_to_its_end(project: Project, one: One) -> None:
    """50 MB of output are read and forgotten but for the end."""
    sha = project.commit(
        check_py="for _ in range(50): print('x' * 1_000_000)\nprint('Found 7 errors.')\nexit(1)"
    )

    result = one(sha, lint="python check.py")

    assert result.verdict is Verdict.FAILED
    assert result.evidence == "Found 7 errors."


def test_output_that_is_no_text_is_shown_as_far_as_it_is(project: Project, one: One) -> None:
    """Stray bytes and terminal codes neither break the check nor reach the reader."""
    sha = project.commit(
        check_py=r"import os; os.write(1, b'\x1b[31mbad \xff\xfe\x00 price\x1b[0m\a\n'); exit(1)"
    )

    result = one(sha, lint="python check.py")

    assert result.verdict is Verdict.FAILED
    assert result.evidence == "bad \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} price"


def test_a_command_gets_no_input(project: Project, one: One) -> None:
    """A command that asks a question gets no answer instead of waiting for one."""
    result = one(
        project.commit(check_py="import sys; print(len(sys.stdin.read()))"), lint="python check.py"
    )

    assert result.evidence == "0"


def test_checks_run_one_after_the_other_and_heartbeat(project: Project, checker: Checker) -> None:
    """Who watches the activity sees which check is under way."""
    results = checker.run(project.commit(), lint="true", types="false")

    assert [result.id for result in results] == ["lint", "types"]
    assert checker.heartbeats == ["checkout", "lint: 0 s", "types: 0 s"]


def test_nothing_is_left_on_disk(project: Project, checker: Checker, scratch: Path) -> None:
    """Checkout, home and temporary files are gone, whatever the command did to them."""
    sha = project.commit(
        check_py="import os, tempfile\nos.chmod(tempfile.mkdtemp(dir='.'), 0)\ntempfile.mkdtemp()"
    )

    checker.run(sha, lint="python check.py")

    assert list(scratch.iterdir()) == []


def test_time_limit_counts_for_each_command(project: Project, checker: Checker) -> None:
    """A command that hangs is told with its limit, and the next one still runs."""
    sha = project.commit(check_py="import time\nprint('waiting', flush=True)\ntime.sleep(600)")

    hangs, fine = checker.run(
        sha, timeout=timedelta(seconds=1), tests="python check.py", lint="echo fine"
    )

    assert hangs.verdict is Verdict.INCONCLUSIVE
    assert hangs.evidence == "was stopped: still running after 1 s; waiting"
    assert fine.verdict is Verdict.PASSED

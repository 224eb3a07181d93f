"""What a command's end, a coverage report or a check run says: the rules, without running any."""

import pytest

from release.project_checks import (
    Coverage,
    Finished,
    coverage_of_json,
    coverage_of_output,
    coverage_of_xml,
    judge_command,
    judge_coverage,
)
from release.verdict import Verdict

PYTEST_RED = """
=================================== FAILURES ===================================
tests/rules/test_price.py:12: AssertionError
=========================== short test summary info ============================
FAILED tests/rules/test_price.py::test_a - assert 1 == 2
FAILED tests/rules/test_price.py::test_b - assert 1 == 2
ERROR tests/rules/test_keys.py::test_c - OSError: no
FAILED tests/rules/test_price.py::test_d - assert 1 == 2
========== 3 failed, 120 passed, 1 error in 41.20s ==========
make: *** [Makefile:9: tests] Error 1
"""
MYPY_RED = """release/policy.py:3: note: See the documentation
release/policy.py:3: error: Incompatible types  [assignment]
cli/show.py:9:2: error: Missing return  [return]
Found 2 errors in 2 files (checked 80 source files)
"""
COBERTURA = """<?xml version="1.0" ?>
<coverage version="7" lines-valid="200" lines-covered="150" line-rate="0.75" {more}>
</coverage>"""


@pytest.mark.parametrize(
    ("output", "evidence"),
    [
        (
            PYTEST_RED,
            "3 failed, 120 passed, 1 error in 41.20s"
            "; tests/rules/test_price.py::test_a - assert 1 == 2"
            "; tests/rules/test_price.py::test_b - assert 1 == 2"
            "; tests/rules/test_keys.py::test_c - OSError: no",
        ),
        (
            MYPY_RED,
            "Found 2 errors in 2 files (checked 80 source files)"
            "; release/policy.py:3: error: Incompatible types  [assignment]"
            "; cli/show.py:9:2: error: Missing return  [return]",
        ),
        ("Would reformat: a.py\n1 file would be reformatted", "1 file would be reformatted"),
        ("make: *** No rule to make target 'x'.  Stop.", "make: *** No rule to make target 'x'."),
        ("", "exit code 2, no output"),
    ],
)
def test_failure_is_told_by_its_most_telling_lines(output: str, evidence: str) -> None:
    """The summary comes first, then the first three failing tests or complaints."""
    result = judge_command("tests", "All tests passing", Finished(exit_code=2, output=output))

    assert result.verdict is Verdict.FAILED
    assert result.evidence.startswith(evidence)


@pytest.mark.parametrize(
    ("exit_code", "output", "said"),
    [
        (126, "", "could not be started"),
        (127, "ruff: not found", "could not be started; ruff: not found"),
        (137, "", "was killed by SIGKILL"),
        (
            2,
            "make: *** [Makefile:9: lint] Error 127",
            "could not run: make: *** [Makefile:9: lint]",
        ),
        (2, "make[1]: *** [Makefile:9: tests] Killed", "could not run: make[1]: *** [Makefile:9"),
    ],
)
def test_command_that_could_not_run_is_inconclusive(exit_code: int, output: str, said: str) -> None:
    """No judgement was made, so none is reported."""
    result = judge_command(
        "lint", "No linting errors", Finished(exit_code=exit_code, output=output)
    )

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence.startswith(said)


def test_exit_code_minus_one_is_a_failure() -> None:
    """255 is no signal: programs end so when they say -1."""
    assert judge_command("lint", "", Finished(exit_code=255)).verdict is Verdict.FAILED


def test_words_of_make_in_good_output_change_nothing() -> None:
    """Exit code 0 passes whatever was printed."""
    finished = Finished(output="make: *** [Makefile:9: lint] Error 127\n5 passed in 1.00s")

    assert judge_command("tests", "", finished).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("percent", "verdict", "evidence"),
    [
        (80, Verdict.FAILED, "80.0 % of 5,120 lines"),
        (80.01, Verdict.PASSED, "80.0 % of 5,120 lines"),
        (100, Verdict.PASSED, "100.0 % of 5,120 lines"),
    ],
)
def test_coverage_has_to_be_above_the_limit(
    percent: float, verdict: Verdict, evidence: str
) -> None:
    """The flow says more than 80 %: 80 itself is not enough."""
    result = judge_coverage(Coverage(percent=percent, lines=5120), 80)

    assert (result.verdict, result.evidence) == (verdict, evidence)


def test_coverage_of_no_lines_is_inconclusive() -> None:
    """coverage.py calls 0 of 0 lines 100 %."""
    assert judge_coverage(Coverage(percent=100, lines=0), 80).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("more", "percent"), [("", 75), ('branches-valid="100" branches-covered="30"', 60)]
)
def test_cobertura_is_read_with_its_branches(more: str, percent: float) -> None:
    """The percentage is the one that coverage.py itself prints."""
    assert coverage_of_xml(COBERTURA.format(more=more)) == Coverage(percent=percent, lines=200)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("TOTAL    200   50    75%", Coverage(percent=75, lines=200)),
        ("TOTAL    300   1    99%\n", Coverage(percent=100 * 299 / 300, lines=300)),
        ("TOTAL    200   50   40  3   71.5%", Coverage(percent=71.5, lines=200)),
        ("TOTAL      0    0   100%", Coverage(percent=100, lines=0)),
        ("SUBTOTAL   3   1    75%", None),
    ],
)
def test_total_line_is_read(output: str, expected: Coverage | None) -> None:
    """Without a report the printed total counts, as exactly as it can be known."""
    assert coverage_of_output(output) == expected


@pytest.mark.parametrize(
    "report",
    [
        *("", "{", "[]", "{}", '{"totals": 3}', '{"totals": {"percent_covered": 90}}'),
        '{"totals": {"percent_covered": NaN, "num_statements": 9}}',
        '{"totals": {"percent_covered": 900, "num_statements": 9}}',
    ],
)
def test_report_that_is_none_is_refused(report: str) -> None:
    """Nonsense is never taken for a figure."""
    with pytest.raises(ValueError, match=r"coverage|Expecting|validation"):
        coverage_of_json(report)
    with pytest.raises(ValueError, match=r"coverage\.xml"):
        coverage_of_xml(report)

"""What the project's own checks say of a commit: a command, a coverage report."""

import json
import math
import re
import signal

from pydantic import Field

from release.message import Message
from release.verdict import CheckResult, Verdict

COVERAGE = "coverage"
TESTS = "tests"

_TEXTS = {
    TESTS: "All tests passing",
    "lint": "No linting errors",
    "types": "Type checking passed",
    "security-scan": "Security scan clean",
}
_LINES_SHOWN = 3
_LINE_LENGTH = 160

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_OF_MAKE = re.compile(r"^make(\[\d+\])?: ")
# make answers 2 whatever happened to its command; only its words tell
_MAKE_COULD_NOT = re.compile(
    r"^make.*\*\*\* .*(Error 12[67]|Killed|Terminated|Aborted.*|Segmentation fault.*)$"
)
_SUMMARY = re.compile(r"\b\d+ (failed|passed|errors?)\b.* in [\d.]+s|^Found \d+|no tests ran")
_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (?=\S+::|\S+\.py)")
_PLACE = re.compile(r"^(?!.*: note: )\S+:\d+(:\d+)?: |^Would reformat: ")


class Finished(Message):
    """A command that is over, by itself or because it was stopped."""

    exit_code: int = 0
    output: str = Field("", description="the end of what it printed")
    problem: str = Field("", description="why its end says nothing of the commit")


class Coverage(Message):
    """What a coverage report says of the whole project."""

    percent: float = Field(
        ge=0, le=100, description="as the report counts: branches too, if it has"
    )
    lines: int = Field(ge=0)


def text_of(check: str, coverage_percent: int) -> str:
    """The checklist's words for a check; its own name where the flow has none."""
    if check == COVERAGE:
        return f"Code coverage > {coverage_percent} %"
    return _TEXTS.get(check, check)


def judge_command(check: str, text: str, finished: Finished) -> CheckResult:
    """Passed by exit code 0, failed by any other; inconclusive when it could not run to its end.

    Codes from 126 on are the shell's words for "cannot be started" and "killed by a signal".
    """
    lines = _lines(finished.output)
    problem = finished.problem or _problem(finished.exit_code, finished.output)
    if problem:
        evidence = "; ".join([problem, *lines[-1:]])
        return CheckResult(id=check, text=text, verdict=Verdict.INCONCLUSIVE, evidence=evidence)
    passed = finished.exit_code == 0
    said = [_summary(lines)] if passed else _telling(lines)
    evidence = "; ".join(said) if lines else f"exit code {finished.exit_code}, no output"
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return CheckResult(id=check, text=text, verdict=verdict, evidence=evidence)


def judge_coverage(coverage: Coverage | None, percent: int, why_none: str = "") -> CheckResult:
    """Passed above `percent`, as the flow says; the figure is cut, so that 79.96 is not 80.0."""
    text = text_of(COVERAGE, percent)
    if coverage is None or coverage.lines == 0:
        evidence = why_none if coverage is None else "nothing was measured: the report has no lines"
        return CheckResult(id=COVERAGE, text=text, verdict=Verdict.INCONCLUSIVE, evidence=evidence)
    passed = coverage.percent > percent
    shown = math.floor(coverage.percent * 10) / 10
    evidence = f"{shown:.1f} % of {coverage.lines:,} lines"
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return CheckResult(id=COVERAGE, text=text, verdict=verdict, evidence=evidence)


def unconfigured(check: str, text: str, where: str) -> CheckResult:
    """Nothing answers this check."""
    evidence = f"nothing answers {check!r}: configure it in [{where}]"
    return CheckResult(id=check, text=text, verdict=Verdict.INCONCLUSIVE, evidence=evidence)


def coverage_of_json(report: str) -> Coverage:
    """coverage.py's `coverage.json`.

    Raises:
        ValueError: it is none.
    """
    try:
        totals = json.loads(report)["totals"]
        return Coverage(percent=totals["percent_covered"], lines=totals["num_statements"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a coverage.json: {error!r}") from error


def coverage_of_xml(report: str) -> Coverage:
    """Cobertura's `coverage.xml`; only its root is read.

    Raises:
        ValueError: it is none.
    """
    root = re.search(r"<coverage\s([^>]*)>", report)
    found = dict(re.findall(r'([\w-]+)="([\d.]+)"', root[1])) if root else {}
    try:
        lines, covered = int(found["lines-valid"]), int(found["lines-covered"])
    except KeyError as error:
        raise ValueError("not a coverage.xml with lines-valid and lines-covered") from error
    branches = int(found.get("branches-valid", 0))
    taken = int(found.get("branches-covered", 0))
    whole = lines + branches
    return Coverage(percent=100 * (covered + taken) / whole if whole else 0, lines=lines)


def coverage_of_output(output: str) -> Coverage | None:
    """The last TOTAL line of `coverage report` or pytest-cov; None when there is none."""
    found = re.findall(r"^TOTAL((?: +\d+){2,4}) +([\d.]+)%\s*$", _clean(output), re.MULTILINE)
    if not found:
        return None
    figures = [int(figure) for figure in found[-1][0].split()]
    lines, missed = figures[:2]
    if len(figures) == 2 and 0 <= missed <= lines and lines:  # exacter than the rounded percentage
        return Coverage(percent=100 * (lines - missed) / lines, lines=lines)
    return Coverage(percent=float(found[-1][1]), lines=lines)


def _problem(exit_code: int, output: str) -> str:
    if exit_code in (126, 127):
        return "could not be started"
    if exit_code > 128 and exit_code - 128 in set(signal.Signals):
        return f"was killed by {signal.Signals(exit_code - 128).name}"
    said = [line for line in _clean(output).splitlines() if _MAKE_COULD_NOT.match(line)]
    return f"could not run: {said[-1]}" if exit_code and said else ""


def _telling(lines: list[str]) -> list[str]:
    """The summary, then the first failing tests, or else the first complaints with a place."""
    tests = [_FAILED_TEST.sub("", line) for line in lines if _FAILED_TEST.match(line)]
    places = [line for line in lines if _PLACE.match(line)]
    details = list(dict.fromkeys(tests or places))[:_LINES_SHOWN]
    summary = _summary(lines)
    return [summary, *(line for line in details if line != summary)]


def _summary(lines: list[str]) -> str:
    return next((line for line in reversed(lines) if _SUMMARY.search(line)), "".join(lines[-1:]))


def _lines(output: str) -> list[str]:
    """The lines that say something, without pytest's frames, each cut to a readable length."""
    every = (line.strip(" \t=")[:_LINE_LENGTH] for line in _clean(output).splitlines())
    found = [line for line in every if any(map(str.isalnum, line))]
    return [line for line in found if not _OF_MAKE.match(line)] or found


def _clean(output: str) -> str:
    plain = _COLOURS.sub("", output).replace("\r", "\n")
    return "".join(char for char in plain if char.isprintable() or char in "\n\t")

"""GitHub's checks of a commit, all of them green."""

from datetime import UTC, datetime

from release.check_runs import CheckRun, CheckRuns


def green_checks(sha: str) -> CheckRuns:
    """What the project's own policy asks for has succeeded."""
    names = ("tests", "coverage", "lint", "types", "security-scan")
    runs = tuple(
        CheckRun(
            id=number,
            sha=sha,
            name=name,
            status="completed",
            conclusion="success",
            url=f"https://github.example/{name}",
            app="github-actions",
        )
        for number, name in enumerate(names)
    )
    return CheckRuns(sha=sha, runs=runs, read_at=datetime(2026, 1, 1, tzinfo=UTC))

"""What GitHub's checks of a commit say, and how a checklist item follows from one of them."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from release.message import Message
from release.verdict import CheckResult, Verdict

_NAMES_SHOWN = 10


class CheckRun(Message):
    """One check of one commit, as a program reported it to GitHub."""

    id: int
    sha: str
    name: str
    status: str
    conclusion: str | None = Field(description="None until the status is completed")
    url: str
    app: str = Field(description="slug of the GitHub App that reported it: github-actions, ...")

    @property
    def verdict(self) -> Verdict:
        """Only success and failure conclude anything about the commit.

        Skipped and neutral pass GitHub's own branch protection; here a scan that did not run is no
        evidence. Cancelled, timed out, stale and whatever GitHub adds later are no evidence either.
        """
        if self.status != "completed":
            return Verdict.INCONCLUSIVE
        known = {"success": Verdict.PASSED, "failure": Verdict.FAILED}
        return known.get(self.conclusion or "", Verdict.INCONCLUSIVE)


class CheckRuns(Message):
    """The newest run of each check that GitHub has for a commit, as it was when it was read."""

    sha: str
    runs: tuple[CheckRun, ...]
    read_at: datetime


def newest_by_name(runs: Iterable[CheckRun]) -> tuple[CheckRun, ...]:
    """The newest run of each name, by name.

    A repeated check is a new run with a higher id; its times are null until it starts. Names are
    all there is to go by: two workflows that both have a job `tests` hide each other here.
    """
    newest: dict[str, CheckRun] = {}
    for run in sorted(runs, key=lambda run: run.id):
        newest[run.name] = run
    return tuple(newest[name] for name in sorted(newest))


def judge_check(item_id: str, text: str, name: str, found: CheckRuns) -> CheckResult:
    """The checklist item that is answered by the check of this name.

    Inconclusive when there is no such check, when it still runs, or when it ended without a word
    about the commit; never passed unless GitHub says success.
    """
    run = next((run for run in found.runs if run.name == name), None)
    if run is None:
        names = ", ".join(run.name for run in found.runs[:_NAMES_SHOWN]) or "none"
        evidence = f"GitHub has no check {name!r} of {found.sha[:12]}; there is: {names}"
        return CheckResult(id=item_id, text=text, verdict=Verdict.INCONCLUSIVE, evidence=evidence)
    state = run.conclusion if run.status == "completed" else run.status
    evidence = f"{name}: {state or 'no conclusion'} ({run.app}), {run.url}"
    return CheckResult(id=item_id, text=text, verdict=run.verdict, evidence=evidence)

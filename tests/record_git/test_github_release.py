"""Tag, changelog, deployment and issue on GitHub: once each, whatever gets lost on the way."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_github import FakeGitHub
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.github_api import github_client
from activities.github_call import GitHubCalls
from activities.github_deployment import GitHubDeployments
from activities.github_issues import GitHubIssues
from activities.github_release import GitHubRelease
from activities.release_inputs import ChangelogInput, GitHubDeploymentInput, IssueInput, TagInput
from release.changelog import entries
from release.github import GitHubProblem
from tests.git_command import git

LIVE = datetime(2024, 1, 15, 14, 0, tzinfo=UTC)
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n- TRX\n"
BRANCH = "changelog/v1.2.3"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[FakeGitHub]:
    """A GitHub with one commit on main; a request that breaks the description fails the test."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "CHANGELOG.md").write_text(CHANGELOG)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "feat: add TRX")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), "bare")
    with FakeGitHub(tmp_path / "bare") as github:
        yield github
    assert github.broken == []


def head(github: FakeGitHub, ref: str = "main") -> str:
    """The commit that a ref is on."""
    return (github.git("rev-parse", f"{ref}^{{commit}}") or "").strip()


@cache
def _client() -> httpx.Client:
    return github_client("http://127.0.0.1", lambda: "token")


def run(github: FakeGitHub, kind: str, **fields: Any) -> str:
    """What the activity says."""
    _client().base_url = github.url
    calls = GitHubCalls(_client())
    release = GitHubRelease(calls, "main")
    known: dict[str, Any] = {"repository": "o/r", "sha": head(github), "version": "1.2.3"}
    message = {"message": "Release v1.2.3: Add TRX", "at": LIVE}
    ended = {"environment": "production", "promotion": "promotion/x/1", "run_id": "r1"}
    ended |= {"succeeded": True, "reason": "it serves", "log_url": "https://t.example/p"}
    issue = {"repository": "o/r", "title": "Rolled back", "body": "Why.", "marker": "r1"}
    activities: dict[str, tuple[Callable[..., str], Any]] = {
        "tag": (release.tag_on_github, lambda: TagInput(**{**known, **message, **fields})),
        "changelog": (
            release.propose_changelog,
            lambda: ChangelogInput(**{**known, "staged_at": None, "live_at": LIVE, **fields}),
        ),
        "deployment": (
            GitHubDeployments(calls).show_deployment_on_github,
            lambda: GitHubDeploymentInput(**{**known, **ended, **fields}),
        ),
        "issue": (GitHubIssues(calls).open_issue, lambda: IssueInput(**{**issue, **fields})),
    }
    activity, order = activities[kind]
    return str(ActivityEnvironment().run(activity, order()))


def refused(github: FakeGitHub, kind: str, **fields: Any) -> ApplicationError:
    """The error."""
    with pytest.raises(ApplicationError) as caught:
        run(github, kind, **fields)
    return caught.value


def made(github: FakeGitHub) -> list[str]:
    """The calls that made something."""
    return [call for call in github.asked if not call.startswith("GET")]


def test_release_is_tagged(github):
    """An annotated tag with the flow's message on the promoted commit."""
    assert run(github, "tag") == f"v1.2.3 on {head(github)[:12]} in o/r"

    assert github.git("cat-file", "-t", "v1.2.3") == "tag\n"
    assert head(github, "v1.2.3") == head(github)
    assert "\n\nRelease v1.2.3: Add TRX\n" in (github.git("cat-file", "tag", "v1.2.3") or "")


def test_tag_of_another_commit_is_never_moved(github):
    """Somebody's v1.2.3 stays, and people are told what to do."""
    other = (github.git("commit-tree", "main^{tree}", "-m", "x") or "").strip()
    github.git("tag", "v1.2.3", other)

    error = refused(github, "tag")

    assert error.non_retryable
    assert "is never moved; give" in error.message
    assert head(github, "v1.2.3") == other
    assert made(github) == []


def test_commit_that_github_lacks_is_no_tag(github):
    """What was never pushed is GitHub's own word, and is not tried for ever."""
    error = refused(github, "tag", sha="c" * 40)

    assert (error.type, error.non_retryable) == (GitHubProblem.REFUSED, True)
    assert "Object does not exist" in error.message


def test_changelog_is_a_pull_request_with_one_commit(github):
    """The branch has one commit on main's tip, and the pull request names it."""
    assert run(github, "changelog") == f"pull request {github.url}/o/r/pull/1"

    assert head(github, f"{BRANCH}^") == head(github)
    assert github.git("diff", "--name-only", "main", BRANCH) == "CHANGELOG.md\n"
    assert github.git("show", f"{BRANCH}:CHANGELOG.md") == (
        "# Changelog\n\n## Unreleased\n\n## [1.2.3] - 2024-01-15\n\n### Added\n- TRX\n\n"
        "### Deployment\n- Production: 2024-01-15 14:00 UTC\n- Rollback: None\n"
    )
    (pull,) = github.pulls
    assert (pull["head"], pull["base"], pull["title"]) == (
        BRANCH,
        "main",
        "docs: changelog of v1.2.3",
    )


def test_next_release_tells_its_own_entries_only(github):
    """A pull request that nobody merged yet has its entries; the next one does not repeat them."""
    run(github, "tag")
    run(github, "changelog")
    add_entry(github)

    run(github, "changelog", version="1.2.4", previous="1.2.3")

    text = github.git("show", "changelog/v1.2.4:CHANGELOG.md") or ""
    assert entries(text, "1.2.4")[1]["Added"] == ["FIL"]
    assert text.count("- TRX") == 1


def add_entry(github: FakeGitHub) -> None:
    """Main goes on, with one more entry."""
    text = CHANGELOG.replace("- TRX", "- TRX\n- FIL")
    blob = github.git("hash-object", "-w", "--stdin", stdin=text) or ""
    tree = github.git("mktree", stdin=f"100644 blob {blob.strip()}\tCHANGELOG.md\n") or ""
    new = github.git("commit-tree", tree.strip(), "-p", "main", "-m", "x") or ""
    github.git("update-ref", "refs/heads/main", new.strip())


def test_merged_changelog_is_not_proposed_again(github):
    """What main has already needs no branch."""
    run(github, "changelog")
    released = head(github)
    github.git("update-ref", "refs/heads/main", BRANCH)
    github.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    github.asked.clear()

    assert run(github, "changelog", sha=released) == "CHANGELOG.md of main has it already"
    assert made(github) == []


def test_closed_pull_request_is_not_opened_again(github):
    """Who closed it meant it."""
    run(github, "changelog")
    github.pulls[0]["state"] = "closed"

    assert run(github, "changelog") == f"pull request {github.url}/o/r/pull/1, closed"
    assert len(github.pulls) == 1


def test_changelog_without_unreleased_makes_no_branch(github):
    """Nothing is half done where nothing can be done."""
    github.git("update-ref", "refs/heads/main", without_unreleased(github))

    error = refused(github, "changelog")

    assert error.non_retryable
    assert "has no heading `## Unreleased`; write its section by hand (Production:" in error.message
    assert made(github) == []


def without_unreleased(github: FakeGitHub) -> str:
    """A commit whose changelog has releases only."""
    blob = github.git("hash-object", "-w", "--stdin", stdin="# Changelog\n\n## 1.0.0\n- x\n") or ""
    tree = github.git("mktree", stdin=f"100644 blob {blob.strip()}\tCHANGELOG.md\n") or ""
    return (github.git("commit-tree", tree.strip(), "-m", "x") or "").strip()


def test_missing_branch_is_said(github):
    """A wrong RELEASE_BRANCH is one line."""
    sha = head(github)
    github.git("update-ref", "-d", "refs/heads/main")

    assert refused(github, "changelog", sha=sha).message == (
        "o/r has no branch main; set RELEASE_BRANCH"
    )


def test_file_that_github_does_not_hand_out_is_said(github):
    """Above 1 MB GitHub answers without the content: nothing is overwritten with nothing."""
    file = {"sha": "1", "encoding": "none", "content": ""}
    github.status_of["GET contents/CHANGELOG.md"] = (200, file)

    assert "too large for GitHub" in refused(github, "changelog").message


@pytest.mark.parametrize(("succeeded", "state"), [(True, "success"), (False, "failure")])
def test_deployment_shows_how_it_ended(github, succeeded, state):
    """GitHub's page has the commit, the environment, the state and where to read more."""
    assert run(github, "deployment", succeeded=succeeded, reason="y" * 500) == (
        f"deployment 1 of production in o/r: {state}"
    )

    (deployment,) = github.deployments
    assert (deployment["ref"], deployment["environment"]) == (head(github), "production")
    assert (deployment["auto_merge"], deployment["required_contexts"]) == (False, [])
    assert github.statuses == {
        "deployments/1/statuses": [
            {"id": 1, "state": state, "description": "y" * 140, "log_url": "https://t.example/p"}
        ]
    }


def test_each_run_of_a_promotion_has_its_own_deployment(github):
    """A commit that went back and came again went to production twice."""
    run(github, "deployment", succeeded=False)
    run(github, "deployment", run_id="r2")

    assert [d["payload"]["run_id"] for d in github.deployments] == ["r1", "r2"]
    assert [s[0]["state"] for s in github.statuses.values()] == ["failure", "success"]


def test_promotion_without_a_page_has_no_address(github):
    """An empty address is left out: GitHub would refuse it."""
    run(github, "deployment", log_url="")

    assert "log_url" not in github.statuses["deployments/1/statuses"][0]


def test_issue_is_opened_once_and_found_when_it_is_closed(github):
    """The second call gives the first one's address; another marker is another issue."""
    first = run(github, "issue")
    github.issues[0]["state"] = "closed"

    assert run(github, "issue") == first
    assert run(github, "issue", marker="r2") != first
    assert [issue["body"] for issue in github.issues] == [
        "Why.\n\n<!-- r1 -->\n",
        "Why.\n\n<!-- r2 -->\n",
    ]


def test_marker_cannot_end_its_comment(github):
    """What is hidden stays hidden."""
    run(github, "issue", marker="a --> b")

    assert github.issues[0]["body"].endswith("<!-- a -- b -->\n")


def test_long_issue_is_cut_and_keeps_its_marker(github):
    """GitHub refuses more than 65,536 characters; a retry has to know the issue."""
    run(github, "issue", title="t" * 999, body="b" * 99_999)
    run(github, "issue", title="t" * 999, body="b" * 99_999)

    (issue,) = github.issues
    assert (len(issue["title"]), issue["body"][-13:]) == (256, "\n<!-- r1 -->\n")
    assert len(issue["body"]) < 65_536


MAKING = [
    ("tag", "POST git/tags"),
    ("tag", "POST git/refs"),
    ("changelog", "POST git/refs"),
    ("changelog", "PUT contents/CHANGELOG.md"),
    ("changelog", "POST pulls"),
    ("deployment", "POST deployments"),
    ("deployment", "POST deployments/1/statuses"),
    ("issue", "POST issues"),
]


@pytest.mark.parametrize(("kind", "call"), MAKING)
def test_lost_answer_makes_nothing_twice(github, kind, call):
    """GitHub did it and the answer got lost: the next attempt finds it, and ends the same."""
    github.lose_answer_to = call

    error = refused(github, kind)
    said = run(github, kind)

    assert (error.type, error.non_retryable) == (GitHubProblem.UNAVAILABLE, False)
    assert said == run(github, kind)
    # a tag's object without a ref is seen by nobody; all else was made once
    assert made(github).count(call) == (2 if call == "POST git/tags" else 1)
    assert len(github.pulls) <= 1
    assert (github.git("rev-list", "--count", "--all") or "").strip() == str(1 + len(github.pulls))


@pytest.mark.parametrize(
    ("kind", "call", "find"),
    [
        ("tag", "POST git/refs", "GET git/ref/tags%2Fv1.2.3"),
        ("changelog", "POST git/refs", "GET git/ref/heads%2Fchangelog%2Fv1.2.3"),
        ("changelog", "POST pulls", "GET pulls"),
    ],
)
def test_another_attempt_that_was_faster_is_looked_at(github, kind, call, find):
    """ "Already exists" is no success by itself: what exists is read."""
    run(github, kind)
    first = {"GET pulls": (200, [])}.get(find, (404, {"message": "Not Found"}))
    answers = iter([first])
    real = github.answer

    def overtaken(method: str, path: str, query: Any, body: Any) -> Any:
        if f"{method} {path}" == find:
            return next(answers, None) or real(method, path, query, body)
        return real(method, path, query, body)

    github.answer = overtaken
    github.asked.clear()

    run(github, kind)

    assert call in github.asked
    assert github.asked.count(find) == 2


@pytest.mark.parametrize("kind", ["tag", "changelog", "deployment", "issue"])
@pytest.mark.parametrize(
    ("status", "problem", "final"),
    [
        (401, GitHubProblem.UNAUTHORIZED, True),
        (403, GitHubProblem.FORBIDDEN, True),
        (404, GitHubProblem.NOT_FOUND, True),
        (429, GitHubProblem.RATE_LIMITED, False),
        (500, GitHubProblem.UNAVAILABLE, False),
    ],
)
def test_what_people_must_mend_is_not_tried_for_ever(github, kind, status, problem, final):
    """A missing permission is named and ends it; GitHub's bad hour is waited for."""
    needs = {
        "tag": ("POST git/tags", "contents=write"),
        "changelog": ("POST pulls", "pull_requests=write"),
        "deployment": ("POST deployments", "deployments=write"),
        "issue": ("POST issues", "issues=write"),
    }
    call, permission = needs[kind]
    github.status_of[call] = (status, {"message": "No"})

    error = refused(github, kind)

    assert (error.type, error.non_retryable) == (problem, final)
    if status in (403, 404):
        assert f"needs {permission}" in error.message


def test_refusal_says_githubs_reason(github):
    """ "Validation Failed" alone helps nobody."""
    body = {"message": "Validation Failed", "errors": [{"message": "No commits between the two"}]}
    github.status_of["POST pulls"] = (422, body)

    error = refused(github, "changelog")

    assert error.non_retryable
    assert "Validation Failed: No commits between the two" in error.message


@pytest.mark.parametrize("kind", ["tag", "changelog", "deployment", "issue"])
@pytest.mark.parametrize("repository", ["o", "o/..", "../r", "o/r/x", "o/r?x"])
def test_what_is_no_repository_is_never_asked_for(github, kind, repository):
    """A misspelt [ci] repository leads nowhere else."""
    error = refused(github, kind, repository=repository)

    assert error.non_retryable
    assert f"[ci] repository is {repository!r}; GitHub's are owner/name" in error.message
    assert github.asked == []

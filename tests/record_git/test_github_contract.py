"""What a record makes on GitHub, against GitHub's published description, served by Prism."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import github_made
from activities.github_api import github_client
from activities.github_call import GitHubCalls, read
from activities.github_deployment import GitHubDeployments
from activities.github_issues import GitHubIssues
from activities.github_refs import GitHubRefs
from activities.github_release import GitHubRelease
from activities.release_inputs import ChangelogInput, GitHubDeploymentInput, IssueInput, TagInput
from release.github import GitHubProblem
from tests.github.github_parts import cut_description, hold_to_description, prism

REPO = "/repos/{owner}/{repo}"
CALLS: dict[str, tuple[str, ...]] = {
    f"{REPO}/git/ref/{{ref}}": ("get",),
    f"{REPO}/git/refs": ("post",),
    f"{REPO}/git/tags": ("post",),
    f"{REPO}/git/tags/{{tag_sha}}": ("get",),
    f"{REPO}/contents/{{path}}": ("get", "put"),
    f"{REPO}/pulls": ("get", "post"),
    f"{REPO}/deployments": ("get", "post"),
    f"{REPO}/deployments/{{deployment_id}}/statuses": ("get", "post"),
    f"{REPO}/issues": ("get", "post"),
}
SHA = "c0ffee" * 6 + "beef"
LIVE = datetime(2024, 1, 15, 14, 0, tzinfo=UTC)
TAG = TagInput(repository="o/r", sha=SHA, version="1.2.3", message="Release v1.2.3: x", at=LIVE)
CHANGELOG = ChangelogInput(repository="o/r", sha=SHA, version="1.2.3", staged_at=LIVE, live_at=LIVE)
DEPLOYMENT = GitHubDeploymentInput(
    repository="o/r",
    environment="production",
    sha=SHA,
    version="1.2.3",
    promotion="promotion/x/1",
    run_id="r1",
    succeeded=True,
    reason="it serves",
    log_url="https://temporal.example/p",
)
ISSUE = IssueInput(repository="o/r", title="Rolled back", body="Why.", marker="r1")


@pytest.fixture(scope="module", params=["whole", "sparse"])
def described_github(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Our client of a GitHub that has everything described, or only what is promised."""
    description = cut_description(sparse=request.param == "sparse", calls=CALLS)
    folder = tmp_path_factory.mktemp("prism")
    with prism(folder, description) as url, github_client(url, lambda: "token") as client:
        yield client


Wishes = Callable[..., None]


@pytest.fixture
def github(described_github: httpx.Client) -> tuple[GitHubCalls, Wishes]:
    """Our calls; and what is wished of the answers to one kind of call, by method and path."""
    wishes: dict[tuple[str, str], str] = {}

    def wish(method: str, part: str, **wanted: object) -> None:
        wishes[method, part] = ", ".join(f"{name}={value}" for name, value in wanted.items())

    def prefer(request: httpx.Request) -> None:
        for (method, part), wanted in wishes.items():
            if request.method == method and part in request.url.raw_path.decode():
                request.headers["Prefer"] = wanted

    described_github.event_hooks = {"request": [prefer], "response": [hold_to_description]}
    return GitHubCalls(described_github), wish


def run(activity: Callable[[Any], str], order: Any) -> str:
    """What the activity says."""
    return str(ActivityEnvironment().run(activity, order))


@pytest.mark.parametrize(
    ("path", "body"),
    [("git/refs", {"ref": "refs/tags/v1"}), ("deployments/1/statuses", {"state": "fine"})],
)
def test_wrong_request_would_fail_these_tests(github, path, body):
    """Prism reads the bodies: a missing field and an unknown state are refused."""
    calls, _ = github

    with pytest.raises(ApplicationError, match="GitHub answered 422"):
        calls.post(f"/repos/o/r/{path}", "x", body)


def test_unknown_call_would_fail_these_tests(github):
    """Prism's complaints are not taken for GitHub's answers."""
    calls, _ = github

    with pytest.raises(AssertionError, match="stoplight"):
        calls.post("/repos/o/r/git/references", "x", {})


def test_tag_is_made_by_described_calls(github):
    """Look, make the tag's object, make its ref."""
    calls, wish = github
    wish("GET", "/git/ref/tags%2Fv1.2.3", code=404)

    assert run(GitHubRelease(calls, "main").tag_on_github, TAG).startswith("v1.2.3 on c0ffee")


def test_described_tag_of_another_commit_is_not_moved(github):
    """GitHub's own example of a ref is on a commit of its own."""
    calls, _ = github

    with pytest.raises(ApplicationError, match="is never moved"):
        run(GitHubRelease(calls, "main").tag_on_github, TAG)


def test_changelog_is_read_by_described_calls(github):
    """Refs and files are read; only the examples' content ("encoded content ...") is no base64."""
    calls, _ = github

    with pytest.raises(ApplicationError, match=r"CHANGELOG\.md is unreadable: content: ") as caught:
        run(GitHubRelease(calls, "main").propose_changelog, CHANGELOG)

    assert caught.value.type == GitHubProblem.UNREADABLE


def test_pull_request_is_made_by_described_calls(github):
    """Those that there are can be read, and one is opened."""
    calls, wish = github
    for method in ("GET", "POST"):  # Prism finds the examples themselves at fault
        wish(method, "/pulls", dynamic="true", seed=1)
    release = GitHubRelease(calls, "main")

    release._find_pull(CHANGELOG, "b")
    pull = release._open_pull(CHANGELOG, "b")

    assert pull.html_url
    assert pull.state in ("open", "closed")


def test_deployment_is_made_by_described_calls(github):
    """The examples are of other runs: ours is made, and gets its status."""
    calls, _ = github

    said = run(GitHubDeployments(calls).show_deployment_on_github, DEPLOYMENT)

    assert said == "deployment 1 of production in o/r: success"


def test_issue_is_made_by_described_calls(github):
    """The example issues have no marker of ours: one is opened."""
    calls, _ = github

    url = run(GitHubIssues(calls).open_issue, ISSUE)

    assert url == "https://github.com/octocat/Hello-World/issues/1347"


TAG_BODY = {"tag": "v1", "message": "m", "object": SHA, "type": "commit"}
FILE_BODY = {"message": "m", "content": "eA=="}
ANSWERS: dict[str, tuple[dict[str, str] | None, Any]] = {
    "GET git/ref/heads%2Fmain": (None, github_made.Ref),
    "POST git/tags": (TAG_BODY, github_made.Tag),
    f"GET git/tags/{SHA}": (None, github_made.Tag),
    "PUT contents/CHANGELOG.md": (FILE_BODY, github_made.FileCommit),
    "GET pulls": (None, tuple[github_made.Pull, ...]),
    "POST pulls": ({"head": "b", "base": "main"}, github_made.Pull),
    "GET deployments": (None, tuple[github_made.Deployment, ...]),
    "POST deployments": ({"ref": SHA}, github_made.Deployment),
    "GET deployments/1/statuses": (None, tuple[github_made.DeploymentStatus, ...]),
    "POST deployments/1/statuses": ({"state": "success"}, github_made.DeploymentStatus),
    "GET issues": (None, tuple[github_made.Issue, ...]),
    "POST issues": ({"title": "t"}, github_made.Issue),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("call", ANSWERS)
def test_any_described_answer_is_read(github, call, seed):
    """Whatever an answer looks like within the description, it is read."""
    calls, wish = github
    method, path = call.split()
    body, kind = ANSWERS[call]
    wish(method, path, dynamic="true", seed=seed)
    send = {"GET": calls.get, "POST": calls.post, "PUT": calls.put}[method]
    arguments = (f"/repos/o/r/{path}", "x", *(() if body is None else (body,)))

    assert read(send(*arguments), TypeAdapter(kind)) is not None


@pytest.mark.parametrize(
    ("code", "problem"), [(401, GitHubProblem.UNAUTHORIZED), (403, GitHubProblem.FORBIDDEN)]
)
def test_described_error_is_its_own_problem(github, code, problem):
    """A token that may not write ends it, with the permission to add."""
    calls, wish = github
    wish("POST", "/git/refs", code=code, dynamic="true", seed=1)

    with pytest.raises(ApplicationError) as caught:
        GitHubRefs(calls, "o/r").add_branch("b", SHA)

    assert (caught.value.type, caught.value.non_retryable) == (problem, True)

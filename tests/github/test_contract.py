"""Our readings against GitHub's published description, served by Prism."""

import httpx
import pytest
from github_parts import cut_description, read_check_runs, read_review
from temporalio.exceptions import ApplicationError

from activities.github_api import GitHubApi
from release.github import GitHubProblem, ReviewOutcome

SEEDS = range(20)
EXAMPLE_RUN_SHA = "acb5820ced9479c074f688cc328bf03f341a511d"
EXAMPLE_CHECK_SHA = "ce587453ced02b1526dfb4cb910479d431683101"


def prefer(client: httpx.Client, **wishes: object) -> list[httpx.Response]:
    """Every next answer is of this kind, and is kept."""
    client.headers["Prefer"] = ", ".join(f"{name}={value}" for name, value in wishes.items())
    kept: list[httpx.Response] = []

    def keep(answer: httpx.Response) -> None:
        answer.read()
        kept.append(answer)

    client.event_hooks = {"response": [*client.event_hooks["response"], keep]}
    return kept


@pytest.mark.parametrize(
    "path", ["actions/runs/five", "actions/runs/5/approval", "commits/main/check-runs?page=x"]
)
def test_wrong_request_would_fail_these_tests(described, path):
    """Prism's complaints are not taken for GitHub's answers, whatever their status."""
    with pytest.raises(AssertionError, match="stoplight"):
        described.get(f"/repos/o/r/{path}")


@pytest.mark.parametrize("read", [read_review, read_check_runs])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, GitHubProblem.UNAUTHORIZED),
        (403, GitHubProblem.FORBIDDEN),
        (404, GitHubProblem.NOT_FOUND),
    ],
)
def test_described_error_is_its_own_problem(described, read, status, kind):
    """GitHub's error answers are told apart, and its own words are passed on."""
    kept = prefer(described, code=status, dynamic="true", seed=1)

    with pytest.raises(ApplicationError) as caught:
        read(GitHubApi(described))

    assert [answer.status_code for answer in kept] == [status]
    assert (caught.value.type, caught.value.non_retryable) == (kind, True)
    if "message" in kept[0].json():
        assert kept[0].json()["message"] in caught.value.message


def test_example_review_is_read(described):
    """GitHub's own example: octocat approved staging on a run of this commit."""
    review = read_review(GitHubApi(described), sha=EXAMPLE_RUN_SHA, environment="staging")

    assert review.outcome is ReviewOutcome.APPROVED
    assert review.approvers == ("octocat",)
    assert [found.comment for found in review.reviews] == ["Ship it!"]
    assert review.run.url == "https://github.com/octo-org/octo-repo/actions/runs/30433642"


def test_example_check_runs_are_read(described):
    """GitHub's own example: one check of this commit, neither passed nor failed."""
    found = read_check_runs(GitHubApi(described), sha=EXAMPLE_CHECK_SHA)

    assert [(run.id, run.name, run.conclusion) for run in found.runs] == [
        (4, "mighty_readme", "neutral")
    ]
    assert found.runs[0].app == "octoapp"


@pytest.mark.parametrize("seed", SEEDS)
def test_any_described_run_is_read(described, seed):
    """Whatever a run looks like within the description, it is read as it is."""
    kept = prefer(described, dynamic="true", seed=seed)

    run = GitHubApi(described).run("o/r", 5)

    raw = kept[0].json()
    assert run.model_dump() == {
        "id": raw["id"],
        "sha": raw["head_sha"],
        "url": raw["html_url"],
        "workflow": raw["path"],
        "event": raw["event"],
        "status": raw["status"],
        "attempt": raw.get("run_attempt", 1),
        "actor": raw["actor"]["login"] if "actor" in raw else None,
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_any_described_review_is_read(described, seed):
    """Whatever a review history looks like within the description, it is read as it is."""
    kept = prefer(described, dynamic="true", seed=seed)

    reviews = GitHubApi(described).reviews("o/r", 5)

    assert [(r.reviewer, r.state, r.comment, list(r.environments)) for r in reviews] == [
        (
            raw["user"]["login"],
            raw["state"],
            raw["comment"],
            [found["name"] for found in raw["environments"] if "name" in found],
        )
        for raw in kept[0].json()
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_described_check_run_is_read(described, seed):
    """Whatever check runs look like within the description, they are read as they are."""
    kept = prefer(described, dynamic="true", seed=seed)

    (page,) = GitHubApi(described).check_runs("o/r", "a" * 40)

    assert [(r.id, r.sha, r.name, r.status, r.conclusion, r.url, r.app) for r in page] == [
        (
            raw["id"],
            raw["head_sha"],
            raw["name"],
            raw["status"],
            raw["conclusion"],
            raw["html_url"] or "",
            (raw["app"] or {}).get("slug", "unknown app"),
        )
        for raw in kept[0].json()["check_runs"]
    ]


def test_sparse_description_leaves_out_what_is_optional():
    """The sparse GitHub is one: what may be missing is missing there."""
    schemas = cut_description(sparse=True)["components"]["schemas"]

    assert not {"actor", "run_attempt"} & set(schemas["workflow-run"]["properties"])
    assert "slug" not in schemas["nullable-integration"]["properties"]
    review = schemas["environment-approvals"]["properties"]
    assert review["environments"]["items"]["properties"] == {}


def test_seeds_do_reach_the_odd_answers(described):
    """The seeds are worth something: no review and some, each state, a check without a page."""
    lists, checks = [], []
    for seed in SEEDS:
        headers = {"Prefer": f"dynamic=true, seed={seed}"}
        lists.append(described.get("/repos/o/r/actions/runs/5/approvals", headers=headers).json())
        answer = described.get("/repos/o/r/commits/main/check-runs", headers=headers)
        checks += answer.json()["check_runs"]

    assert {len(found) > 0 for found in lists} == {True, False}
    assert {review["state"] for found in lists for review in found} == {
        "approved",
        "rejected",
        "pending",
    }
    assert any(check["html_url"] is None for check in checks)
    assert any(check["conclusion"] is None for check in checks)
    assert any(check["app"] is None for check in checks)

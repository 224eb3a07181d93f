"""Admission: a request counts only with the policy that stands in its commit."""

from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.admission import Admission
from release.policy import parse_policy
from release.promotion import PromotionRequest
from tests.git_command import git

TEXT = (Path(__file__).parents[2] / "release.toml").read_text()


@pytest.fixture
def commit(tmp_path):
    """Makes a commit of this release.toml; its sha."""

    git(tmp_path, "init", "--quiet", "--initial-branch=main")

    def make(text: str = TEXT, branch: str = "") -> str:
        if branch:
            git(tmp_path, "switch", "--quiet", "--create", branch)
        (tmp_path / "release.toml").write_text(text)
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "change")
        return git(tmp_path, "rev-parse", "HEAD")

    return make


def admission(folder: Path, *, accepts_claims: bool = False) -> Admission:
    return Admission(folder, "main", accepts_claims=accepts_claims, temporal_ui=None)


def request(sha: str, text: str = TEXT, factor: float = 1) -> PromotionRequest:
    policy = parse_policy(text).compressed(factor)
    return PromotionRequest(
        sha=sha, version="1.2.3", requested_by="dora", policy=policy, clock_factor=factor
    )


def test_request_with_its_commits_policy_is_admitted(tmp_path, commit):
    """As it stands, or on the laptop with the clock that the request names."""
    sha = commit()
    laptop = admission(tmp_path, accepts_claims=True)

    assert admission(tmp_path).admit_request(request(sha)).accepts_claims is False
    assert laptop.admit_request(request(sha, factor=12)).accepts_claims is True


def test_compressed_clock_is_refused_outside_the_laptop(tmp_path, commit):
    """Nobody climbs a production ladder in seconds."""
    with pytest.raises(ApplicationError, match="only the laptop's profile"):
        admission(tmp_path).admit_request(request(commit(), factor=600))


def test_commit_that_was_not_merged_is_refused(tmp_path, commit):
    """Rosters count once they were reviewed and merged, wherever else a commit may lie."""
    commit()
    sha = commit(TEXT.replace('people = ["alice"]', 'people = ["mallory"]'), branch="mine")
    changed = TEXT.replace('people = ["alice"]', 'people = ["mallory"]')

    with pytest.raises(ApplicationError, match="is not on main; merge it first"):
        admission(tmp_path).admit_request(request(sha, changed))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('people = ["alice"]', 'people = ["mallory"]'),
        ("authors_may_approve = false", "authors_may_approve = true"),
        ("step = 0.1", "step = 0.9"),
        ('bake = "5m"', 'bake = "0s"'),
    ],
)
def test_request_with_a_policy_of_its_own_is_refused(tmp_path, commit, old, new):
    """Whoever can start a workflow cannot bring rosters or a ladder of their own."""
    sha = commit()
    assert TEXT.count(old) == 1

    with pytest.raises(ApplicationError, match=f"not the one in {sha[:12]}") as refused:
        admission(tmp_path).admit_request(request(sha, TEXT.replace(old, new)))

    assert refused.value.non_retryable


@pytest.mark.parametrize(
    ("text", "said"), [("not = [toml", "is not valid TOML"), ("service = 1", "service: ")]
)
def test_commit_with_a_broken_policy_is_refused(tmp_path, commit, text, said):
    """One line, and no retry."""
    with pytest.raises(ApplicationError, match=said):
        admission(tmp_path).admit_request(request(commit(text)))


def test_unknown_commit_is_refused(tmp_path, commit):
    """A commit that the worker's repository does not have."""
    commit()

    with pytest.raises(ApplicationError, match=r"has no release\.toml here"):
        admission(tmp_path).admit_request(request("0" * 40))

"""What becomes of a promotion's end, by the real server, in real git and over real HTTP."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub
from git_record import PARTS, GitRecord
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import workflows.record
from activities.git_release import GitRelease
from activities.github_api import github_client
from activities.github_call import GitHubCalls
from activities.github_deployment import GitHubDeployments
from activities.github_release import GitHubRelease
from release.promotion import Outcome, PromotionRequest, PromotionStatus, Stage, StepRecord
from release.records import Kept, RecordRequest
from tests.flow.conftest import temporal
from tests.flow.release_system import project_policy
from tests.git_command import git

__all__ = ["temporal"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

STAGED = datetime(2024, 1, 14, 10, 0, tzinfo=UTC)
LIVE = datetime(2024, 1, 15, 14, 0, tzinfo=UTC)
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n- TRX\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The worker's repository, with one commit on main."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "feat: add TRX")
    return folder


@pytest.fixture
def github(folder: Path, tmp_path: Path) -> Iterator[FakeGitHub]:
    """GitHub's copy of it."""
    git(tmp_path, "clone", "--quiet", "--bare", str(folder), "bare")
    with FakeGitHub(tmp_path / "bare") as github:
        yield github
    assert github.broken == []


def request(folder: Path, outcome: Outcome, repository: str = "") -> RecordRequest:
    """The end of a promotion of main that had moved traffic."""
    policy = project_policy()
    ci = policy.ci.model_copy(update={"repository": repository})
    promotion = PromotionRequest(
        sha=git(folder, "rev-parse", "main"),
        version="1.2.3+c0ffee0",
        requested_by="dora",
        changes=("fix: a typo", "feat: add TRX"),
        policy=policy.model_copy(update={"ci": ci}),
    )
    steps = [StepRecord(weight=0.5, started_at=LIVE - timedelta(minutes=5))]
    if outcome is Outcome.COMPLETED:
        steps.append(StepRecord(weight=1, started_at=LIVE))
    status = PromotionStatus(
        workflow_id=promotion.workflow_id,
        service="crypto-watch",
        sha=promotion.sha,
        version=promotion.version,
        requested_by="dora",
        stage=Stage.DONE,
        stage_since=LIVE,
        outcome=outcome,
        reason="why it ended",
        staged_at=STAGED,
        steps=tuple(steps) if outcome is not Outcome.REJECTED else (),
    )
    address = "https://temporal.example/promotion"
    return RecordRequest(promotion=promotion, status=status, run_id="r1", address=address)


async def record(
    temporal: WorkflowEnvironment, folder: Path, order: RecordRequest, github: str = ""
) -> tuple[Kept, ...]:
    """What was kept."""
    here = GitRelease(folder, "main")
    with (
        github_client(github or "http://127.0.0.1:9", lambda: "token") as client,
        ThreadPoolExecutor(4) as threads,
    ):
        there = GitHubRelease(GitHubCalls(client), "main")
        activities: list[Any] = [here.tag_release, here.write_changelog, there.tag_on_github]
        activities += [
            there.propose_changelog,
            GitHubDeployments(GitHubCalls(client)).show_deployment_on_github,
        ]
        queue = uuid.uuid4().hex
        async with Worker(
            temporal.client,
            task_queue=queue,
            workflows=[GitRecord],
            activities=activities,
            activity_executor=threads,
            workflow_failure_exception_types=[Exception],
        ):
            result = await temporal.client.execute_workflow(
                GitRecord.run, order, id=uuid.uuid4().hex, task_queue=queue
            )
    return result.kept


async def test_every_record_has_these_parts():
    """What is tested here alone is a part of the real record."""
    assert set(PARTS) <= set(workflows.record.PARTS)


async def test_completed_release_is_tagged_and_has_its_changelog(temporal, folder):
    """Without GitHub both are in the worker's repository, under the version without build part."""
    order = request(folder, Outcome.COMPLETED)

    tag, changelog = await record(temporal, folder, order)

    assert (tag.what, tag.done, changelog.what, changelog.done) == (
        *("tag v1.2.3", True),
        *("changelog", True),
    )
    assert git(folder, "tag", "-l", "--format=%(contents:subject)") == "Release v1.2.3: Add TRX"
    assert git(folder, "rev-parse", "v1.2.3^{commit}") == order.promotion.sha
    text = git(folder, "show", "changelog/v1.2.3:CHANGELOG.md")
    assert "- Staging: 2024-01-14 10:00 UTC\n- Production: 2024-01-15 14:00 UTC\n" in text


async def test_completed_release_is_recorded_on_github(temporal, folder, github):
    """With a repository configured all of it is there, and nothing in the worker's."""
    order = request(folder, Outcome.COMPLETED, "o/r")

    tag, changelog, deployment = await record(temporal, folder, order, github.url)

    assert [tag.done, changelog.done, deployment.done] == [True, True, True]
    assert deployment.text == "deployment 1 of production in o/r: success"
    assert (github.git("rev-parse", "v1.2.3^{commit}") or "").strip() == order.promotion.sha
    assert [pull["head"] for pull in github.pulls] == ["changelog/v1.2.3"]
    assert github.statuses["deployments/1/statuses"][0]["log_url"] == order.address
    assert git(folder, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.ABORTED, Outcome.FAILED])
async def test_release_that_went_back_is_a_failed_deployment_and_nothing_else(
    temporal, folder, github, outcome
):
    """No tag and no changelog of what production does not run."""
    order = request(folder, outcome, "o/r")

    (deployment,) = await record(temporal, folder, order, github.url)

    assert deployment.text == "deployment 1 of production in o/r: failure"
    assert github.statuses["deployments/1/statuses"][0]["description"] == "why it ended"
    assert github.git("tag", "-l") == ""
    assert github.pulls == []


@pytest.mark.parametrize(
    ("outcome", "repository"), [(Outcome.REJECTED, "o/r"), (Outcome.ROLLED_BACK, "")]
)
async def test_nothing_is_written_where_there_is_nothing_to_tell(
    temporal, folder, outcome, repository
):
    """What never met a user is no deployment; without GitHub a rollback is none of git's."""
    assert await record(temporal, folder, request(folder, outcome, repository)) == ()


async def test_part_that_cannot_be_kept_says_so_and_holds_up_no_other(temporal, folder):
    """A tag of somebody else's is told as what it is; the changelog is written all the same."""
    order = request(folder, Outcome.COMPLETED)
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "x")
    git(folder, "tag", "v1.2.3")

    tag, changelog = await record(temporal, folder, order)

    assert (tag.done, changelog.done) == (False, True)
    assert tag.text.startswith("v1.2.3 is on ")
    assert "is never moved; give" in tag.text


async def test_misspelt_repository_is_told(temporal, folder, github):
    """What the policy lets through and GitHub has not ends each part with what to change."""
    order = request(folder, Outcome.COMPLETED, "o/..")

    kept = await record(temporal, folder, order, github.url)

    assert [one.done for one in kept] == [False, False, False]
    assert {one.text for one in kept} == {"[ci] repository is 'o/..'; GitHub's are owner/name"}

"""Superseding: which of the promotions that wait are told, by git's word on what is older."""

import uuid

import pytest
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.inputs import SupersedeInput
from activities.supersede import Supersede
from release.policy import Policy
from release.promotion import Outcome, PromotionRequest, Stage
from tests.flow.release_system import project_policy
from tests.git_command import git
from workflows.promotion import PromotionWorkflow
from workflows.state import SHA

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def repository(tmp_path):
    """Commits: first → second on main, and one beside it."""

    def commit(subject: str) -> str:
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", subject)
        return git(tmp_path, "rev-parse", "HEAD")

    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    shas = {"first": commit("first"), "second": commit("second")}
    git(tmp_path, "switch", "--quiet", "--create", "aside", shas["first"])
    shas["aside"] = commit("aside")
    return tmp_path, shas


@pytest.fixture
def policy() -> Policy:
    """Of a service of its own, so that no other test's promotions are told."""
    return project_policy().model_copy(update={"service": f"s{uuid.uuid4().hex[:10]}"})


async def waiting(system, policy: Policy, sha: str):
    """A promotion that waits for its approvers, found by its commit as the CLI starts it."""
    order = PromotionRequest(sha=sha, version="1.2.3", requested_by="dora", policy=policy)
    for name, alias in list(system.aws.aliases.items()):
        own = name.replace("crypto-watch", policy.service)
        system.aws.aliases.setdefault(own, dict(alias))
        system.aws.versions.setdefault(own, list(system.aws.versions[name]))
    handle = await system.environment.client.start_workflow(
        PromotionWorkflow.run,
        order,
        id=order.workflow_id,
        task_queue=system.queue,
        search_attributes=TypedSearchAttributes([SearchAttributePair(SHA, sha)]),
    )
    await system.sign_off_all(handle)
    await system.until(handle, lambda s: s.stage is Stage.APPROVAL and s.digest)
    return handle


async def test_older_commit_that_waits_is_told_and_others_are_not(
    release_system, repository, policy
):
    """Only what leads to the newer commit gives way: neither itself nor a commit beside it."""
    folder, shas = repository
    older = await waiting(release_system, policy, shas["first"])
    beside = await waiting(release_system, policy, shas["aside"])
    newer = await waiting(release_system, policy, shas["second"])
    supersede = Supersede(release_system.environment.client, folder)
    order = SupersedeInput(
        service=policy.service, promotion=newer.id, sha=shas["second"], version="1.2.4"
    )

    assert await supersede.supersede_older(order) == [older.id]

    result = await older.result()
    assert (result.outcome, result.reason) == (
        Outcome.SUPERSEDED,
        f"superseded by {newer.id} 1.2.4",
    )
    assert (await release_system.status(beside)).outcome is None
    assert (await release_system.status(newer)).outcome is None
    assert await supersede.supersede_older(order) == []
    for handle in (beside, newer):
        await handle.signal("abort")
        await handle.result()


async def test_repository_that_knows_no_commit_supersedes_nothing(
    release_system, repository, policy, tmp_path_factory
):
    """Which is older could not be said: nobody is told."""
    _, shas = repository
    older = await waiting(release_system, policy, shas["first"])
    supersede = Supersede(release_system.environment.client, tmp_path_factory.mktemp("empty"))
    order = SupersedeInput(
        service=policy.service, promotion="promotion/x/y", sha=shas["second"], version="1.2.4"
    )

    assert await supersede.supersede_older(order) == []
    await older.signal("abort")
    await older.result()

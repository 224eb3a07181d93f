"""The release system itself is updated: what its last version began, this one brings to its end.

Without Worker Versioning, as on a laptop; with it a promotion ends on the build it began on
(tests/connection/test_worker_versioning.py).
"""

from contextlib import suppress

import pytest
from temporalio.service import RPCError

from release.lane import lane_id
from tests.faults.history import kind_of
from tests.faults.promises import violations
from tests.faults.promotion import SUCCESS, promote
from tests.faults.workers import ROOT, tree_of_the_version_before

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

PHASES = (
    "scheduled admit_request#1",
    "scheduled build_artifacts#1",
    "scheduled publish_version#1",
    "stage integration tests",
    "stage checklist",
    "stage approval",
    "scheduled join_lane#1",
    "stage production deploy",
    "scheduled shift_step#1",
    "scheduled shift_step#3",
    "stage monitor",
    "workflow_execution_completed#1",
)


@pytest.fixture
async def version_before(lane):
    """The worker is the one of the version before, and no lane of today's version is open."""
    tree = tree_of_the_version_before(lane.folder / "version-before")
    if tree is None:
        pytest.skip("git's history does not reach back to the version before")
    client = await lane.connect()
    with suppress(RPCError):  # there is none yet
        await client.get_workflow_handle(lane_id(lane.policy.service)).terminate("of this version")
    lane.work_with(tree)
    yield tree
    lane.work_with(ROOT)


@pytest.mark.parametrize("phase", PHASES)
async def test_promotion_of_the_version_before_is_finished(lane, noted, version_before, phase):
    """Its worker is gone at this phase, for good, and this version's goes on with the promotion."""

    def update(run, label):
        if label == phase:
            run.killed_at.append(label)
            lane.work_with(ROOT)

    run = await promote(lane, SUCCESS, update)

    found = await violations(run, SUCCESS.outcome)
    worked = [lane.nursery.trees[pid] for pid in await _workers(run)]
    at_its_end = phase.startswith("workflow_execution_completed")
    assert list(dict.fromkeys(worked)) == [version_before, *([] if at_its_end else [ROOT])]
    noted("a promotion of the version before", len(run.killed_at), found, run.seconds)


async def _workers(run) -> list[int]:
    """The process of each workflow task of the promotion, in their order."""
    history = await run.handle.fetch_history()
    return [
        int(event.workflow_task_completed_event_attributes.identity.partition("@")[0])
        for event in history.events
        if kind_of(event) == "WORKFLOW_TASK_COMPLETED"
    ]

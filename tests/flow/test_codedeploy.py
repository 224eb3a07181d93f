"""A release that AWS CodeDeploy shifts: the same gates, the same judgement, the same way back."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.codedeploy_api import REFUSED
from activities.traffic import INTERVENED
from release.decisions import FinishNow, Pause, Resume
from release.promotion import Outcome, Stage
from release.verdict import Verdict

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NEW = "1", "2"
API = "crypto-watch-api-prod"
SHIFT = """[shift]
strategy = "codedeploy"
codedeploy_config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
codedeploy_role = "arn:aws:iam::123456789012:role/codedeploy"
"""


def brings(release_system, weight, version=NEW):
    """CodeDeploy writes the weight, past the release and beside its description."""

    def write(_):
        whole = weight == 1
        release_system.aws.aliases[API] |= {
            "FunctionVersion": version if whole else OLD,
            "RoutingConfig": {} if whole else {"AdditionalVersionWeights": {NEW: weight}},
            "RevisionId": uuid.uuid4().hex,
        }

    return write


async def promote(release_system):
    """A promotion by CodeDeploy with its sign-offs and approvals given."""
    policy = release_system.policy_with_shift(SHIFT)
    handle = await release_system.promote(policy=policy)
    await release_system.sign_off_all(handle)
    await release_system.approve(handle)
    return handle


async def shifting(release_system, weight=0.1):
    """A promotion whose deployment has reached the weight, and goes on."""
    script = release_system.script
    script.by_codedeploy = brings(release_system, weight)
    script.hold_at = lambda order: True
    handle = await promote(release_system)
    await asyncio.wait_for(script.holding.wait(), 20)
    return handle


async def test_codedeploy_shifts_and_the_release_watches_at_100_percent(release_system):
    """CodeDeploy's shift stands as one step; the bake that follows has its lease, which ends."""
    script, aws = release_system.script, release_system.aws
    script.by_codedeploy = brings(release_system, 1)
    leases = []
    script.judge = lambda order: (
        leases.append(aws.aliases[API].get("Description", "")) or script.judgement(Verdict.PASSED)
    )

    result = await (await promote(release_system)).result()

    assert result.outcome is Outcome.COMPLETED
    assert [step.weight for step in result.steps] == [1.0, 1.0]
    assert leases[0] == ""
    assert '"lease"' in leases[1]
    assert aws.aliases[API]["Description"] == ""
    assert aws.serves() == {NEW: 1}
    assert aws.serves("fetcher") == {NEW: 1}
    assert script.ended == []


async def test_status_says_who_shifts(release_system):
    """People see that CodeDeploy moves the traffic, by which plan, and how to stop it."""
    handle = await shifting(release_system)

    status = await release_system.status(handle)

    assert status.stage is Stage.SHIFT
    assert status.next == (
        "AWS CodeDeploy shifts by CodeDeployDefault.LambdaCanary10Percent5Minutes; `abort` stops it"
    )
    await handle.signal("abort")
    await handle.result()


async def test_bad_judgement_puts_the_baseline_back(release_system):
    """The weight that CodeDeploy had reached stands in the reason and in the record."""
    script = release_system.script
    script.by_codedeploy = brings(release_system, 0.3)
    script.judge = lambda order: script.judgement(Verdict.FAILED, "50 of 100 failed")

    handle = await promote(release_system)
    result = await handle.result()

    assert (result.outcome, result.reason) == (Outcome.ROLLED_BACK, "at 30 %: 50 of 100 failed")
    assert [step.weight for step in result.steps] == [0.3]
    assert result.weight == 0
    assert release_system.aws.serves() == {OLD: 1}
    assert script.ended == [f"{handle.id}/{handle.first_execution_run_id}"]


async def test_what_codedeploy_still_writes_is_undone(release_system):
    """Its last step lands between our rollback and its own end: the baseline is whole after it."""
    script, aws = release_system.script, release_system.aws
    script.by_codedeploy = brings(release_system, 0.3)
    script.judge = lambda order: script.judgement(Verdict.FAILED)
    before = []

    def end(order):
        before.append(aws.serves())
        brings(release_system, 0.4)(order)

    script.end_by_codedeploy = end
    await (await promote(release_system)).result()

    assert before == [{OLD: 1}]
    assert aws.serves() == {OLD: 1}


async def test_older_version_that_codedeploy_rolls_back_to_is_undone(release_system):
    """CodeDeploy's last good version need not be what production served before the release."""
    script = release_system.script
    script.by_codedeploy = brings(release_system, 0.3)
    script.judge = lambda order: script.judgement(Verdict.FAILED)
    script.end_by_codedeploy = brings(release_system, 1, version="7")

    await (await promote(release_system)).result()

    assert release_system.aws.serves() == {OLD: 1}


async def test_abort_stops_codedeploy_and_puts_the_baseline_back(release_system):
    """An abort has the old version back, with CodeDeploy ended."""
    handle = await shifting(release_system, 0.4)

    await handle.signal("abort", {"by": "carol", "reason": "smoke"})
    result = await handle.result()

    assert (result.outcome, result.reason) == (Outcome.ABORTED, "aborted by carol: smoke")
    assert release_system.aws.serves() == {OLD: 1}
    assert len(release_system.script.ended) == 1


async def test_races_lost_to_codedeploys_rollback_are_tried_again(release_system):
    """Two that put the baseline back meet at the alias; ours does not give up."""
    handle = await shifting(release_system, 0.4)
    lost = ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
    release_system.aws.fail_updates_with = [lost, lost, lost]

    await handle.signal("abort")
    result = await handle.result()

    assert result.outcome is Outcome.ABORTED
    assert release_system.aws.serves() == {OLD: 1}
    assert release_system.aws.fail_updates_with == []


async def test_codedeploy_that_refuses_to_stop_stands_in_the_record(release_system):
    """The baseline is back all the same, and people are told what is left to do."""
    script = release_system.script
    script.by_codedeploy = brings(release_system, 0.3)
    script.judge = lambda order: script.judgement(Verdict.FAILED)

    def refuse(_):
        raise ApplicationError("AccessDenied: no", type=REFUSED, non_retryable=True)

    script.end_by_codedeploy = refuse
    handle = await promote(release_system)
    result = await handle.result()

    said = (await release_system.status(handle)).inbox[-1]
    assert result.outcome is Outcome.ROLLED_BACK
    assert release_system.aws.serves() == {OLD: 1}
    assert not said.accepted
    assert "stop it by hand: REFUSED: AccessDenied" in said.text.replace(REFUSED, "REFUSED")


async def test_refused_deployment_fails_the_release(release_system):
    """Somebody else's deployment is under way: nothing was judged, nothing of ours moved."""

    def refuse(_):
        raise ApplicationError("deployment d-2 is under way", non_retryable=True)

    release_system.script.by_codedeploy = refuse
    handle = await promote(release_system)

    with pytest.raises(Exception, match="Workflow execution failed"):
        await handle.result()
    status = await release_system.status(handle)
    assert status.outcome is Outcome.FAILED
    assert "deployment d-2 is under way" in status.reason


async def test_intervention_past_codedeploy_is_recorded_as_the_rollback(release_system):
    """Who put the baseline back past both stands as the release's end."""

    def intervene(_):
        text = f"put back past the release by guard: {datetime.now(UTC):%H}"
        raise ApplicationError(text, type=INTERVENED, non_retryable=True)

    release_system.script.by_codedeploy = intervene
    result = await (await promote(release_system)).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason.startswith("put back past the release by guard")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pause", Pause(by="carol")),
        ("resume", Resume(by="carol")),
        ("finish_now", FinishNow(by="bob", reason="hurry")),
    ],
)
async def test_codedeploy_is_neither_paused_nor_hurried(release_system, name, message):
    """CodeDeploy has no pause: the refusal says so, and what there is instead."""
    handle = await shifting(release_system)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(name, message)

    assert "neither be paused nor hurried, only stopped; abort does that" in str(
        refused.value.cause
    )
    await handle.signal("abort")
    await handle.result()

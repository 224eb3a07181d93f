"""The ladder as people and bad luck meet it: pause, resume, finish now, step back, the guard."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from temporalio.client import WorkflowUpdateFailedError

from release.decisions import FinishNow, Pause, Resume
from release.lease import Hand, Lease, Note
from release.promotion import Outcome, Stage
from release.verdict import Verdict

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NEW = "1", "2"
API = "crypto-watch-api-prod"


async def shifting_at(release_system, weight):
    """A promotion whose step at `weight` goes on until something ends it."""
    release_system.script.hold_at = lambda order: order.weight == weight
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(release_system.script.holding.wait(), 20)
    return handle


async def test_lease_stands_beside_every_weight_and_ends_with_the_release(release_system):
    """Whoever looks at the alias sees who moves it; when it is over nothing is left."""
    handle = await shifting_at(release_system, 0.2)

    lease = Lease.from_description(release_system.aws.aliases[API]["Description"])
    assert lease is not None
    assert (lease.holder, lease.baseline) == (handle.id, OLD)

    await handle.signal("abort")
    await handle.result()
    assert release_system.aws.aliases[API]["Description"] == ""


async def test_pause_holds_the_weight_until_it_is_resumed(release_system):
    """A paused release neither climbs nor falls; resumed, it climbs on."""
    script = release_system.script
    handle = await shifting_at(release_system, 0.2)
    await handle.execute_update("pause", Pause(by="carol", reason="looking at a graph"))
    script.hold_at = lambda order: order.is_pause
    script.holding.clear()
    script.release.set()
    await asyncio.wait_for(script.holding.wait(), 20)

    status = await release_system.status(handle)
    assert status.next.startswith("paused by carol: looking at a graph")
    assert release_system.aws.serves()[NEW] == pytest.approx(0.2)

    await handle.execute_update("resume", Resume(by="carol"))
    result = await handle.result()
    assert result.outcome is Outcome.COMPLETED
    assert release_system.aws.weights().count(0.2) >= 1


async def test_pause_that_nobody_ends_rolls_back(release_system):
    """A forgotten pause does not leave two versions for ever."""
    script = release_system.script
    handle = await shifting_at(release_system, 0.2)
    await handle.execute_update("pause", Pause(by="carol"))
    script.judge = lambda order: script.judgement(
        Verdict.INCONCLUSIVE if order.is_pause else Verdict.PASSED, "paused for 14400 s"
    )
    script.hold_at = lambda order: False
    script.release.set()

    result = await handle.result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert release_system.aws.serves() == {OLD: 1}


async def test_finish_now_skips_the_waiting_and_keeps_the_watch(release_system):
    """All traffic at once, by a role that may; the bake still judges it."""
    handle = await shifting_at(release_system, 0.2)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("finish_now", FinishNow(by="mallory", reason="hurry"))
    assert "mallory may not finish the shift early" in str(refused.value.cause)

    await handle.execute_update("finish_now", FinishNow(by="bob", reason="urgent fix"))
    result = await handle.result()

    assert result.outcome is Outcome.COMPLETED
    assert [step.weight for step in result.steps][-2:] == [0.2, 1.0]
    assert release_system.aws.serves() == {NEW: 1}


async def test_finish_now_before_the_shift_is_refused(release_system):
    """There is nothing to finish yet, and nothing happens later because of it."""
    handle = await release_system.promote_to_approval()

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("finish_now", FinishNow(by="bob", reason="hurry"))

    assert "no traffic is being shifted" in str(refused.value.cause)
    await handle.signal("abort")
    await handle.result()


async def test_suspicion_steps_back_once_and_climbs_again(release_system):
    """Evidence that grows takes the weight down one rung; clean again, it climbs on."""
    script, suspected = release_system.script, []

    def judge(order):
        passed = script.judgement(Verdict.PASSED)
        if order.weight == 0.3 and not suspected:
            suspected.append(order)
            return passed.model_copy(update={"step_back": True})
        return passed

    script.judge = judge
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.COMPLETED
    climbed = [step.weight for step in result.steps]
    assert climbed[6:10] == [0.2, 0.3, 0.2, 0.3]


async def test_rungs_served_before_a_step_back_are_passed_quickly(release_system):
    """Their minute is not asked for twice; the bake is."""
    script, suspected, asked = release_system.script, [], {}

    def judge(order):
        asked.setdefault(order.weight, []).append(order.min_duration)
        passed = script.judgement(Verdict.PASSED)
        if order.weight == 0.3 and len(suspected) < 2:
            suspected.append(order)
            return passed.model_copy(update={"step_back": True})
        return passed

    script.judge = judge
    await (await release_system.promote_and_pass_gates()).result()

    minute, bucket = timedelta(minutes=1), timedelta(seconds=5)
    assert asked[0.2] == [minute, bucket, bucket]
    assert asked[0.3] == [minute, minute, minute]


def alarmed_at_the_top(release_system, comparison):
    """An alarm at every 100 %; `comparison` is the verdict of comparing."""
    script, orders = release_system.script, []

    def judge(order):
        orders.append(order)
        passed = script.judgement(Verdict.PASSED)
        if order.is_comparison:
            return script.judgement(comparison)
        if order.weight == 1 and order.can_compare:
            return passed.model_copy(update={"compare": True})
        return passed

    script.judge = judge
    return orders


async def test_alarm_at_the_top_is_answered_by_comparing(release_system):
    """Half of the traffic goes back for as long as the counts take; then it climbs on, quickly."""
    orders = alarmed_at_the_top(release_system, Verdict.PASSED)
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.COMPLETED
    compared = [order for order in orders if order.is_comparison]
    assert [order.weight for order in compared] == [0.5] * 3  # then an alarm is the verdict
    assert {order.min_duration for order in compared} == {timedelta(seconds=75)}
    first = orders.index(compared[0])
    assert [order.weight for order in orders[first:]][:6] == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert orders[first + 1].min_duration == timedelta(seconds=5)
    assert orders[first + 5].min_duration == timedelta(minutes=5)


async def test_comparison_that_finds_it_worse_rolls_back(release_system):
    """The alarm was the new version's doing."""
    orders = alarmed_at_the_top(release_system, Verdict.FAILED)
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason.startswith("at 50 %")
    assert [order.is_comparison for order in orders][-2:] == [False, True]
    assert release_system.aws.serves() == {OLD: 1}


@pytest.mark.parametrize("hand", list(Hand))
async def test_baseline_put_back_past_the_release_is_recorded_as_its_rollback(release_system, hand):
    """The guard, or a person with break-glass, was faster: the release ends and says who."""
    aws = release_system.aws

    def judge(order):
        note = Note(hand=hand, by="somebody", reason="no sign of life", at=datetime.now(UTC))
        if order.weight == 0.3:
            aws.aliases[API] |= {
                "FunctionVersion": OLD,
                "RoutingConfig": {},
                "Description": note.to_description(),
                "RevisionId": "another hand's",
            }
        return release_system.script.judgement(Verdict.PASSED)

    release_system.script.judge = judge
    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason == f"put back past the release by {hand.value} (somebody): no sign of life"
    assert aws.serves() == {OLD: 1}


@pytest.mark.parametrize(
    ("strategy", "weights"),
    [
        ('strategy = "all_at_once"', [1.0]),
        ('strategy = "canary"\npre_ramp = false', [0.1, 1.0]),
        ('strategy = "linear"\npre_ramp = false\nstep = 0.5', [0.5, 1.0]),
    ],
)
async def test_every_strategy_takes_the_same_way(release_system, strategy, weights):
    """The strategy chooses the rungs; nothing else differs."""
    text = f"[shift]\n{strategy}\n"
    handle = await release_system.promote(policy=release_system.policy_with_shift(text))
    await release_system.sign_off_all(handle)
    await release_system.approve(handle)

    result = await handle.result()

    assert result.outcome is Outcome.COMPLETED
    assert [step.weight for step in result.steps] == weights


async def test_adaptive_climbs_by_a_constant_factor(release_system):
    """From two in a hundred to all of it, in 36 equal steps and the bake."""
    policy = release_system.policy_with_shift('[shift]\nstrategy = "adaptive"\n')
    handle = await release_system.promote(policy=policy)
    await release_system.sign_off_all(handle)
    await release_system.approve(handle)

    result = await handle.result()

    climbed = [step.weight for step in result.steps]
    factors = [after / before for before, after in pairwise(climbed)]
    assert len(climbed) == 37
    assert max(factors) < 1.13
    assert min(factors) > 1.1
    events = len((await handle.fetch_history()).events)
    assert events < 450
    assert result.steps[0].ended_at - result.steps[0].started_at < timedelta(seconds=20)


async def test_pause_without_anything_to_hold_is_refused(release_system):
    """In the bake there is no next weight to hold back from."""
    handle = await shifting_at(release_system, 1.0)
    assert (await release_system.status(handle)).stage is Stage.BAKE

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("pause", Pause(by="carol"))

    assert "no traffic is being shifted: the promotion is in monitor" in str(refused.value.cause)
    await handle.signal("abort")
    await handle.result()
    assert release_system.aws.serves() == {OLD: 1}

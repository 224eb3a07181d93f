"""The production lane: one at a time, in a fair order, and nobody is forgotten."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowUpdateFailedError

from activities.inputs import ClaimsInput, Compared
from activities.lane import Lanes
from release.drill import DrillRequest
from release.lane import Claim, Leave, Priority, lane_id
from release.promotion import Outcome, Stage
from release.rollback import AliasTarget, RollbackRequest
from release.verdict import Verdict
from release.windows import Windows
from tests.flow.release_system import project_policy
from workflows.drill import RollbackDrillWorkflow
from workflows.production_lane import LOOK_EVERY, ProductionLaneWorkflow
from workflows.rollback import RollbackWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

FREEZE = {"by": "bob", "reason": "sale"}
UNFREEZE = {"by": "bob", "reason": "the sale is over"}


@pytest.fixture
def lane(release_system):
    """The service's lane, which has begun and is free."""
    client = release_system.environment.client
    return client.get_workflow_handle_for(ProductionLaneWorkflow.run, lane_id("crypto-watch"))


async def approved(system, number: int, **request):
    """A promotion of a commit of its own, whose gates are passed."""
    handle = await system.promote(sha=f"{number:040x}", version=f"1.2.{number}", **request)
    await system.sign_off_all(handle)
    await system.approve(handle)
    return handle


async def in_line(system, number: int, **request):
    """One that waits for the lane; with its status."""
    handle = await approved(system, number, **request)
    return handle, await system.until(handle, lambda s: s.stage is Stage.LANE)


async def shifting(system, number: int = 1, **request):
    """One that holds the lane, and goes on only when the script lets it."""
    system.script.hold_at = lambda order: True
    handle = await approved(system, number, **request)
    await asyncio.wait_for(system.script.holding.wait(), 20)
    return handle


def judged_bad(system) -> None:
    """Each goes back at its first weight; `smoked` tells who came so far, in order."""
    system.script.judge = lambda order: system.script.judgement(Verdict.FAILED)


def go_on(system) -> None:
    """What holds at a weight goes on."""
    system.script.hold_at = lambda order: False
    system.script.release.set()


async def ended(handle) -> Outcome:
    """How the promotion ended."""
    return (await handle.result()).outcome


async def aborted(*handles) -> None:
    """They are out of the way."""
    for handle in handles:
        await handle.signal("abort")
        await handle.result()


async def test_promotion_is_not_asked_about_while_another_one_shifts(release_system, lane):
    """What would be put back is not known before that has ended; then all goes on by itself."""
    first = await shifting(release_system)
    second, waiting = await in_line(release_system, 2)

    assert waiting.next == (
        "the approvers are asked, once production stands still; 1st in line: behind 1.2.1"
    )
    assert waiting.deadline > datetime.now(UTC) + timedelta(hours=23)
    assert release_system.aws.weights() == pytest.approx([0.02])

    go_on(release_system)
    assert await ended(first) is Outcome.COMPLETED
    assert await ended(second) is Outcome.COMPLETED
    assert release_system.aws.serves() == {"3": 1}
    status = await release_system.lane_until(lane, lambda s: not s.lane.holders)
    let_in = [r.by for r in status.lane.records if r.kind == "let in"]
    assert let_in == ["1.2.1", "1.2.2, to look", "1.2.2"]


async def test_approved_promotion_waits_for_its_turn_and_is_asked_about_anew(release_system, lane):
    """As the one before it has changed production, its approvals are void by then."""
    await lane.execute_update("freeze", FREEZE)
    first, _ = await in_line(release_system, 1)
    second, waiting = await in_line(release_system, 2)
    assert "production; 2nd in line: behind 1.2.1; frozen" in waiting.next

    await lane.execute_update("unfreeze", UNFREEZE)
    assert await ended(first) is Outcome.COMPLETED
    again = await release_system.until(second, lambda s: s.stage is Stage.APPROVAL and not s.votes)
    assert any("production changed" in record.text for record in again.inbox)
    await release_system.approve(second)
    assert await ended(second) is Outcome.COMPLETED


async def test_freeze_does_not_hold_who_only_looks(release_system, lane):
    """Frozen, people are asked all the same: what is approved can go when it is lifted."""
    first = await shifting(release_system)
    await lane.execute_update("freeze", FREEZE)
    second, _ = await in_line(release_system, 2)
    go_on(release_system)
    assert await ended(first) is Outcome.COMPLETED

    await release_system.until(second, lambda s: s.next.startswith("production; 1st in line: fro"))
    await aborted(second)


async def test_terminated_holder_is_found_out_and_the_next_gets_in(release_system, lane):
    """A holder that died told nobody: the lane looks after it."""
    first = await shifting(release_system)
    second, _ = await in_line(release_system, 2)
    await first.terminate()
    release_system.aws.aliases["crypto-watch-api-prod"]["RoutingConfig"] = {}  # the guard did that

    await release_system.environment.fast_forward(lane, 2 * LOOK_EVERY)
    go_on(release_system)

    assert await ended(second) is Outcome.COMPLETED
    status = await release_system.lane_until(lane, lambda s: not s.lane.holders)
    assert any(r.text == "it ended without a word" for r in status.lane.records)


async def test_reset_promotion_lives_and_ended_ones_are_gone(release_system):
    """A reset makes a new run of the same promotion, which is no death."""
    handle = await release_system.promote_to_approval()
    client = release_system.environment.client
    described = await handle.describe()
    first_run = described.run_id
    history = await handle.fetch_history()
    tasks = [e for e in history.events if e.HasField("workflow_task_completed_event_attributes")]
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=first_run),
            workflow_task_finish_event_id=tasks[-1].event_id,
            request_id="reset",
        )
    )
    latest = client.get_workflow_handle(handle.id)
    assert (await latest.describe()).run_id != first_run

    def claim(workflow: str, run: str) -> Claim:
        return Claim(workflow=workflow, run=run, ticket=1, what="1", since=datetime.now(UTC))

    lives, other_run = claim(handle.id, first_run), claim(handle.id, "another")
    unknown = claim("promotion/nobody", "r")
    find_gone = Lanes(client, Path("no repository")).find_gone
    order = ClaimsInput(service="crypto-watch", claims=(lives, other_run, unknown))
    assert await find_gone(order) == (other_run, unknown)
    await latest.terminate()
    assert await find_gone(order) == (lives, other_run, unknown)


async def test_freeze_holds_promotions_and_hotfixes_until_it_is_lifted(release_system, lane):
    """Whoever waits says who froze it, why and until when; lifted, the hotfix goes first."""
    until = datetime.now(UTC) + timedelta(days=1)
    await lane.execute_update("freeze", FREEZE | {"until": until.isoformat()})
    judged_bad(release_system)  # so that production stays as it is
    normal, waiting = await in_line(release_system, 1)
    hotfix, _ = await in_line(release_system, 2, hotfix="prices are blank")

    assert waiting.next == (
        f"production; 1st in line: frozen until {until:%Y-%m-%d %H:%M} UTC by bob: sale"
    )
    await release_system.until(normal, lambda s: "2nd in line: behind 1.2.2" in s.next)
    await lane.execute_update("unfreeze", UNFREEZE)
    assert [await ended(hotfix), await ended(normal)] == [Outcome.ROLLED_BACK] * 2
    assert [order.sha[-1] for order in release_system.script.smoked] == ["2", "1"]


async def test_freeze_with_an_end_ends_by_itself(release_system, lane):
    """Nobody has to remember to lift it."""
    until = datetime.now(UTC) + timedelta(hours=3)
    await lane.signal("freeze", FREEZE | {"until": until.isoformat()})
    promotion, _ = await in_line(release_system, 1)

    await release_system.environment.fast_forward(lane, timedelta(hours=4))

    assert await ended(promotion) is Outcome.COMPLETED


async def test_rollback_goes_through_a_freeze_and_a_held_lane(release_system, lane):
    """Nothing holds a rollback; while it lasts no promotion is let in."""
    await lane.execute_update("freeze", FREEZE)
    promotion, _ = await in_line(release_system, 1)
    aws = release_system.aws
    aws.publish_version("crypto-watch-api-prod")
    aws.aliases["crypto-watch-api-prod"]["FunctionVersion"] = "2"
    rollback = await rolling_back(release_system)

    result = await rollback.result()

    assert [alias.version for alias in result.aliases] == ["1"]
    status = await release_system.lane_until(lane, lambda s: not s.lane.holders)
    said = [(r.kind, r.by) for r in status.lane.records]
    assert ("join", "rollback to 1.2.2") in said
    assert ("leave", "rollback to 1.2.2") in said
    await aborted(promotion)


async def test_rollback_does_not_wait_for_a_lane_that_is_down(release_system, lane):
    """A lane whose worker is gone answers nobody; production goes back all the same."""
    client = release_system.environment.client
    await lane.terminate()
    await client.start_workflow(
        "ProductionLaneWorkflow", {"service": "crypto-watch"}, id=lane.id, task_queue="nobody"
    )
    rollback = await rolling_back(release_system)

    async with asyncio.timeout(20):
        result = await rollback.result()

    assert [alias.version for alias in result.aliases] == ["1"]


async def rolling_back(system):
    """A rollback of the API by hand."""
    target = AliasTarget(function="crypto-watch-api-prod", alias="live", version="1")
    return await system.environment.client.start_workflow(
        RollbackWorkflow.run,
        RollbackRequest(
            service="crypto-watch",
            release="1.2.2",
            targets=(target,),
            requested_by="carol",
            reason="customers call",
        ),
        id="rollback/crypto-watch-test",
        task_queue=system.queue,
    )


async def test_promotion_waits_for_its_window(release_system, lane):
    """It says when that opens, and then goes without anybody's doing."""
    opens = datetime.now(UTC) + timedelta(hours=3)
    closes = opens + timedelta(hours=2)
    windows = Windows(allow=(f"daily {opens:%H:%M}-{closes:%H:%M}",))
    policy = project_policy().model_copy(update={"windows": windows})
    promotion, waiting = await in_line(release_system, 1, policy=policy)

    assert f"its window opens at {opens:%a %Y-%m-%d %H:%M} UTC" in waiting.next
    hotfix = await approved(release_system, 2, policy=policy, hotfix="prices are blank")
    assert await ended(hotfix) is Outcome.COMPLETED
    await release_system.environment.fast_forward(lane, timedelta(hours=4))
    # as the hotfix changed production
    await release_system.until(promotion, lambda s: s.stage is Stage.APPROVAL and not s.votes)
    await aborted(promotion)


async def test_twenty_commits_in_random_order_go_one_by_one_and_none_is_lost(release_system, lane):
    """They get in as they were ready; the lane goes on as a new run meanwhile, more than once."""
    judged_bad(release_system)  # so that production stays as it is
    await lane.execute_update("freeze", FREEZE)
    numbers = random.Random(8).sample(range(1, 21), 20)
    waiting = [(await in_line(release_system, number))[0] for number in numbers]
    first_run = (await lane.describe()).run_id
    await lane.execute_update("unfreeze", UNFREEZE)

    outcomes = [await ended(handle) for handle in waiting]

    assert outcomes == [Outcome.ROLLED_BACK] * 20
    assert [int(order.sha, 16) for order in release_system.script.smoked] == numbers
    status = await release_system.lane_until(lane, lambda s: not s.lane.holders)
    assert status.lane.queue == ()
    assert (await lane.describe()).run_id != first_run


@pytest.mark.parametrize(
    ("message", "payload", "outcome"),
    [
        ("reject", {"approver": "bob", "comment": "not today"}, Outcome.REJECTED),
        ("abort", {"by": "carol", "reason": "wrong commit"}, Outcome.ABORTED),
        ("supersede", {"by": "promotion/s/b", "version": "1.3.0"}, Outcome.SUPERSEDED),
    ],
)
async def test_message_ends_one_that_waits_and_it_leaves_the_line(
    release_system, lane, message, payload, outcome
):
    """Waiting for the lane nothing has begun: whatever stops a promotion stops it."""
    await lane.execute_update("freeze", FREEZE)
    promotion, _ = await in_line(release_system, 1)

    await promotion.signal(message, payload)

    assert await ended(promotion) is outcome
    await release_system.lane_until(lane, lambda s: not s.lane.queue)
    assert release_system.aws.weights() == []


async def test_approval_withdrawn_in_line_is_asked_for_again(release_system, lane):
    """Without its quorum it does not keep its place."""
    await lane.execute_update("freeze", FREEZE)
    promotion, _ = await in_line(release_system, 1)

    await promotion.signal("withdraw", {"by": "alice"})

    await release_system.until(promotion, lambda s: s.stage is Stage.APPROVAL and not s.votes)
    await release_system.lane_until(lane, lambda s: not s.lane.queue)
    await release_system.approve(promotion)
    await release_system.lane_until(lane, lambda s: [q.ticket for q in s.lane.queue] == [2])
    await lane.execute_update("unfreeze", UNFREEZE)
    assert await ended(promotion) is Outcome.COMPLETED


async def test_approval_is_not_good_for_ever(release_system, lane):
    """Not let in within a day, it ends as expired, and says what held it."""
    await lane.execute_update("freeze", FREEZE)
    promotion, _ = await in_line(release_system, 1)

    await release_system.environment.fast_forward(promotion, timedelta(hours=25))

    result = await promotion.result()
    assert result.outcome is Outcome.EXPIRED
    assert "frozen until it is lifted by bob: sale" in result.reason
    await release_system.lane_until(lane, lambda s: not s.lane.queue)


async def test_lane_that_was_terminated_learns_again_who_waits(release_system, lane):
    """Who waits asks again every hour; who holds it is found by what moves production."""
    first = await shifting(release_system)
    second, _ = await in_line(release_system, 2)
    described = await first.describe()
    release_system.script.moving = (
        Claim(
            workflow=first.id,
            run=described.run_id,
            ticket=0,
            what="1.2.1",
            since=datetime.now(UTC),
        ),
    )
    await lane.terminate()

    await release_system.environment.fast_forward(second, timedelta(minutes=61))
    status = await release_system.lane_until(lane, lambda s: s.lane.begun and s.lane.queue)

    assert [one.workflow for one in status.lane.holders] == [first.id]
    assert [one.workflow for one in status.lane.queue] == [second.id]
    go_on(release_system)
    assert await ended(first) is Outcome.COMPLETED
    assert await ended(second) is Outcome.COMPLETED


async def test_newer_commit_takes_the_place_of_the_older_one_that_it_contains(release_system, lane):
    """Both wait: the older one ends as superseded, the newer one goes where that one stood."""
    await lane.execute_update("freeze", FREEZE)
    older, _ = await in_line(release_system, 1)
    beside, _ = await in_line(release_system, 2)
    release_system.script.compare = lambda order: Compared(
        older=tuple(sha for sha in order.others if sha.endswith("1")), newer=()
    )
    newer, _ = await in_line(release_system, 3)

    result = await older.result()

    assert result.outcome is Outcome.SUPERSEDED
    assert result.reason == f"superseded by {newer.id} 1.2.3"
    status = await lane.query(ProductionLaneWorkflow.status)
    assert [one.workflow for one in status.lane.queue] == [newer.id, beside.id]
    await aborted(newer, beside)


@pytest.mark.parametrize(
    ("message", "payloads", "said"),
    [
        ("freeze", [], "empty payload; send"),
        ("freeze", ["stop"], "payload: Input should be a valid dictionary"),
        ("freeze", [{"by": "bob"}], "reason: Field required; send"),
        ("freeze", [FREEZE | {"until": "tomorrow"}], "until: Input should be a valid datetime"),
        ("freeze", [FREEZE | {"until": "2020-01-01T00:00:00Z"}], "2020-01-01 00:00 UTC is over"),
        ("freeze", [{}, {}], "by: Field required; send"),
        ("unfreeze", [UNFREEZE], "it is not frozen"),
        ("leave", [{"colour": "red"}], "workflow: Field required"),
        ("leave", [], "empty payload"),
    ],
)
async def test_malformed_message_is_refused_on_the_record_and_the_lane_lives(
    release_system, lane, message, payloads, said
):
    """Whatever the Temporal UI sends, the lane answers and lets promotions in."""
    await lane.signal(message, args=payloads)

    status = await release_system.lane_until(
        lane, lambda s: any(not record.accepted for record in s.lane.records)
    )

    assert status.lane.records[-1].text.startswith(said)
    assert await ended(await approved(release_system, 1)) is Outcome.COMPLETED


async def test_update_answers_and_refuses(lane):
    """The CLI's door: a shorter freeze is refused with the standing one's words."""
    await lane.execute_update("freeze", FREEZE)
    shorter = FREEZE | {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await lane.execute_update("freeze", shorter)
    with pytest.raises(WorkflowUpdateFailedError) as malformed:
        await lane.execute_update("join", {"colour": "red"})

    assert "it is frozen until it is lifted by bob: sale" in str(refused.value.cause)
    assert "workflow: Field required" in str(malformed.value.cause)


async def test_word_for_an_earlier_ticket_lets_nothing_in(release_system, lane):
    """A late word, or one made up for another run, is refused on the record."""
    await lane.execute_update("freeze", FREEZE)
    promotion, _ = await in_line(release_system, 1)
    await promotion.signal("lane_says", {"run": "another", "ticket": 1, "granted": True})

    status = await release_system.until(promotion, lambda s: s.inbox[-1].kind == "lane")

    assert status.inbox[-1].text == "it is not for a claim that stands"
    assert status.stage is Stage.LANE
    await aborted(promotion)


def drill_of_production() -> DrillRequest:
    """A drill of production's API."""
    return DrillRequest(
        service="crypto-watch",
        environment="prod",
        function="crypto-watch-api-prod",
        alias="live",
        bucket="artifacts",
        max_seconds=20,
        requested_by="dora",
    )


async def test_drill_in_production_gives_way_to_who_holds_the_lane(release_system, lane):
    """A drill that cannot have production alone is refused, says why, and does not wait."""
    freeze = {"by": "bob", "reason": "sale"}
    await lane.execute_update("freeze", freeze)
    client = release_system.environment.client
    drill = await client.start_workflow(
        RollbackDrillWorkflow.run,
        drill_of_production(),
        id="drill/test/production",
        task_queue=release_system.queue,
    )
    await release_system.lane_until(lane, lambda s: s.lane.queue)
    await release_system.environment.fast_forward(drill, timedelta(seconds=11))

    result = await drill.result()

    assert not result.passed
    assert result.reason == (
        "production is not free: 1st in line: frozen until it is lifted by bob: sale"
    )
    assert release_system.aws.writes == []
    await release_system.lane_until(lane, lambda s: not s.lane.queue)


async def test_late_retry_of_one_that_left_does_not_hold_the_lane(release_system, lane):
    """Its claim comes after its word that it is through: it counts for nothing."""
    claim = Claim(workflow="promotion/s/a", run="r", ticket=2, what="1", since=datetime.now(UTC))
    await lane.signal("leave", Leave(workflow=claim.workflow, run="r", ticket=2))

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await lane.execute_update("join", claim)

    assert "it has left already" in str(refused.value.cause)
    assert (await lane.query(ProductionLaneWorkflow.status)).lane.holders == ()


async def test_rollback_that_ended_without_a_word_holds_nobody_up(release_system, lane):
    """A rollback's claim is looked after like any other."""
    claim = Claim(
        workflow="rollback/gone",
        run="r",
        ticket=1,
        what="rollback to 1.2.2",
        priority=Priority.ROLLBACK,
        since=datetime.now(UTC),
    )
    await lane.execute_update("join", claim)
    promotion, waiting = await in_line(release_system, 1)
    assert waiting.next == "production; 1st in line: behind rollback to 1.2.2"

    await release_system.environment.fast_forward(lane, 2 * LOOK_EVERY)

    assert await ended(promotion) is Outcome.COMPLETED

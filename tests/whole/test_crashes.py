"""Processes die by SIGKILL in the middle of a promotion; nobody lifts a finger."""

import asyncio
import itertools

import boto3
import pytest

from release.promotion import Outcome, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_worker_killed_at_30_percent_is_replaced_and_no_step_moves_the_alias_twice(
    laptop, promotion, consumers
):
    """A new worker finishes the promotion; no weight is moved to a second time."""
    await promotion.sign_off()
    await promotion.approve()
    states: list[tuple[float, str]] = []
    seen = asyncio.create_task(_note_alias_states(states))
    await promotion.until(lambda status: status.weight >= 0.3)

    await asyncio.to_thread(laptop.kill, "worker.py")

    status = await promotion.until(lambda status: status.outcome is not None, seconds=200)
    seen.cancel()
    assert status.outcome is Outcome.COMPLETED
    # a lease that is renewed is a write too, which leaves the weight as it is
    weights = [weight for weight, _ in itertools.groupby(weight for weight, _ in states)]
    assert len(weights) == len(set(weights)), f"a weight was moved to twice: {states}"
    assert [weight for weight in weights if 0.1 < weight < 1] == [n / 10 for n in range(2, 10)]
    assert consumers.stop().failures == 0


async def test_temporal_killed_in_the_approval_wait_comes_back_and_takes_the_approval(
    laptop, promotion
):
    """The promotion waits on in Temporal's file; after the restart the approval counts."""
    await promotion.sign_off()
    await promotion.until(lambda status: status.stage is Stage.APPROVAL)

    await asyncio.to_thread(laptop.kill, "start-dev")

    await promotion.until(lambda status: status.stage is Stage.APPROVAL)
    await promotion.approve()
    await promotion.until(lambda status: status.weight > 0)
    await promotion.abort()
    status = await promotion.until(lambda status: status.outcome is not None)
    assert status.outcome is Outcome.ABORTED
    assert status.weight == 0


async def _note_alias_states(states: list[tuple[float, str]]) -> None:
    """Every (canary weight, RevisionId) of production's alias, in order, each once."""
    client = boto3.client("lambda")
    while True:
        alias = await asyncio.to_thread(
            client.get_alias, FunctionName="crypto-watch-api-prod", Name="live"
        )
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        weight = next(iter(weights.values()), None)
        state = (float(alias["FunctionVersion"]) if weight is None else weight, alias["RevisionId"])
        if state not in states:
            states.append(state)
        await asyncio.sleep(0.1)

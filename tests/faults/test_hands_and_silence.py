"""No worker at all, and people's hands at the alias: production stays on one good version."""

import asyncio
import time

import boto3
import pytest

from release.promotion import Outcome
from tests.faults.promises import violations
from tests.faults.promotion import SUCCESS, promote

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

RUNGS = (1, 2, 3, 4)  # 30, 60, 90 and 100 %
_GUARD_SECONDS = 180.0
_API = "crypto-watch-api-prod"


@pytest.mark.parametrize("rung", RUNGS)
async def test_no_worker_at_a_weight_brings_the_guard(lane, noted, rung):
    """The weight does not climb, the old version is back within three minutes, and the promotion
    says so when somebody works on it again.
    """
    facts: dict[str, float] = {}

    def after(run, label):
        if label == f"scheduled shift_step#{rung}":
            run.begin(silence(run))

    async def silence(run):
        await asyncio.to_thread(lane.until, lambda: _lease_of_rung(rung), 30)
        lane.nursery.kill()
        facts["killed"] = time.time()
        await asyncio.to_thread(lane.until, lambda: _weight() == 0 and not _lease(), 240)
        facts["back"] = time.time()
        lane.start_worker()

    run = await promote(lane, SUCCESS, after)

    found = await violations(run, Outcome.ROLLED_BACK)
    took = facts["back"] - facts["killed"]
    if took > _GUARD_SECONDS:
        found.append(f"F3: the guard took {took:.0f} s")
    if "guard" not in run.status.get("reason", ""):
        found.append(f"F3: the reason is {run.status.get('reason')}")
    print(f"back after {took:.0f} s")
    noted("no worker: the guard brings the baseline back", 1, found, run.seconds)


@pytest.mark.parametrize("hand", ["third version", "old version", "another weight"])
@pytest.mark.parametrize("rung", RUNGS[:3])
async def test_alias_is_edited_by_hand(lane, noted, rung, hand):
    """After a person's write no weight is written any more, and what only a person can have meant
    stays.
    """
    facts: dict[str, float] = {}
    third = await asyncio.to_thread(_version_by_hand)

    def after(run, label):
        if label == f"scheduled shift_step#{rung}":
            run.begin(edit(run))

    async def edit(run):
        await asyncio.to_thread(lane.until, lambda: _lease_of_rung(rung), 30)
        await asyncio.to_thread(_edit, hand, run, third)
        facts["at"] = time.time()

    run = await promote(lane, SUCCESS, after)

    found = [
        text
        for text in await violations(run, Outcome.FAILED, Outcome.ROLLED_BACK)
        if not (hand == "third version" and text.startswith(("P3", "P5", "P6", "P7: the audit")))
    ]
    for call in run.calls:
        written = call.op == "UpdateAlias" and call.target == f"{_API}:live" and call.applied
        if written and call.at > facts["at"] and "whole" not in call.label:
            found.append(f"F12: {call.label} written over a person's edit")
    if hand == "third version" and run.after[_API]["version"] != third:
        found.append(f"F12: the third version was taken off: {run.after[_API]}")
    await asyncio.to_thread(_restore, run)
    noted(f"alias edited by hand: {hand}", 1, found, run.seconds)


async def test_version_that_a_rollback_returns_to_cannot_be_deleted(lane, noted):
    """AWS refuses it, while the ramp runs, for the alias that pins it."""
    refused: list[str] = []

    def after(run, label):
        if label == "scheduled shift_step#2":
            run.begin(delete(run))

    async def delete(run):
        client = boto3.client("lambda")
        baseline = run.before[_API]["version"]
        with pytest.raises(client.exceptions.ResourceConflictException) as error:
            await asyncio.to_thread(client.delete_function, FunctionName=_API, Qualifier=baseline)
        refused.append(str(error.value))

    run = await promote(lane, SUCCESS, after)

    found = await violations(run, Outcome.COMPLETED)
    if not refused:
        found.append("F13: it was deleted")
    noted("rollback target deleted", 1, found, run.seconds)


def _alias():
    return boto3.client("lambda").get_alias(FunctionName=_API, Name="live")


def _weight() -> float:
    weights = (_alias().get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return next(iter(weights.values()), 0.0)


def _lease() -> bool:
    return '"lease"' in _alias().get("Description", "")


def _lease_of_rung(rung: int) -> bool:
    wanted = (0.3, 0.6, 0.9, 0.0)[rung - 1]
    return _lease() and abs(_weight() - wanted) < 0.001


def _edit(hand, run, third) -> None:
    """As by a person in the console, who asks for no `RevisionId`."""
    client, alias = boto3.client("lambda"), _alias()
    if hand == "another weight":
        (canary,) = alias["RoutingConfig"]["AdditionalVersionWeights"]
        weights = {"AdditionalVersionWeights": {canary: 0.11}}
        client.update_alias(FunctionName=_API, Name="live", RoutingConfig=weights)
        return
    client.update_alias(
        FunctionName=_API,
        Name="live",
        FunctionVersion=third if hand == "third version" else run.before[_API]["version"],
        RoutingConfig={"AdditionalVersionWeights": {}},
        Description="",
    )


def _version_by_hand() -> str:
    client = boto3.client("lambda")
    client.update_function_configuration(FunctionName=_API, Description=f"by hand {time.time()}")
    client.get_waiter("function_updated_v2").wait(FunctionName=_API)
    return client.publish_version(FunctionName=_API, Description="by hand")["Version"]


def _restore(run) -> None:
    boto3.client("lambda").update_alias(
        FunctionName=_API,
        Name="live",
        FunctionVersion=run.before[_API]["version"],
        RoutingConfig={"AdditionalVersionWeights": {}},
        Description="",
    )

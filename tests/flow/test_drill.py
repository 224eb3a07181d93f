"""The rollback drill: what it measures, what it leaves behind, and what a promotion makes of it."""

import asyncio
import inspect
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.drill import Drills
from activities.drill_records import DrillRecords
from activities.inputs import DrillsInput, NoopInput
from release.drill import NOOP, WEIGHT, DrillRequest, DrillResult
from release.lease import Hand, Lease, Note
from release.promotion import Outcome, Stage
from release.verdict import Verdict
from workflows.drill import RollbackDrillWorkflow
from workflows.state import OUTCOME, SERVICE, STAGE

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NOOP_VERSION = "1", "2"
STAGING = "crypto-watch-api-staging"
ALARM = "crypto-watch-backend-staging-canary-errors"


def order(environment="staging", **changes):
    """A drill of the service's API."""
    return DrillRequest(
        **{
            "service": "crypto-watch",
            "environment": environment,
            "function": f"crypto-watch-api-{environment}",
            "alias": "live",
            "bucket": "artifacts",
            "max_seconds": 20,
            "requested_by": "dora",
        }
        | changes
    )


async def drill(release_system, **changes):
    """A started drill."""
    return await release_system.environment.client.start_workflow(
        RollbackDrillWorkflow.run,
        order(**changes),
        id=f"drill/test/{uuid.uuid4().hex[:8]}",
        task_queue=release_system.queue,
    )


def sees_the_alarm(release_system):
    """The step goes on until the alarm is red, and then ends as the real one does."""
    script, alarms = release_system.script, release_system.alarms
    script.hold_at = lambda order: not alarms.is_red.is_set()
    script.judge = lambda order: script.judgement(Verdict.FAILED, f"alarm {ALARM}")

    async def let_go():
        await asyncio.to_thread(alarms.is_red.wait, 20)
        script.release.set()

    return asyncio.create_task(let_go())


async def until(condition, seconds=20):
    """The condition, plain or awaited, holds; fails when it does not come in time."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if await holds if inspect.isawaitable(holds) else holds:
                return
            await asyncio.sleep(0.02)


def is_clean(release_system):
    """All traffic on the old version, no lease, no alarm of the drill, no variable of it."""
    alias = release_system.aws.aliases[STAGING]
    latest = release_system.aws.versions[STAGING][0]
    return (
        release_system.aws.serves(environment="staging") == {OLD: 1}
        and alias.get("Description", "") == ""
        and release_system.script.armed == []
        and "DRILL" not in latest.get("Environment", {}).get("Variables", {})
    )


async def outcome(handle):
    """What the list of workflows says of its end."""
    return (await handle.describe()).typed_search_attributes[OUTCOME]


async def test_drill_measures_the_time_from_alarm_to_baseline(release_system):
    """A small weight, an alarm, and all traffic back: with a figure, and nothing left behind."""
    letting_go = sees_the_alarm(release_system)
    handle = await drill(release_system)

    result = await handle.result()

    await letting_go
    assert result.passed
    assert 0 < result.seconds < 20
    assert result.reason == f"{result.seconds:.1f} s from alarm to 100 % baseline"
    assert (result.environment, result.baseline) == ("staging", OLD)
    assert release_system.aws.weights(STAGING) == [WEIGHT, 0]
    assert release_system.alarms.raised[0]["AlarmName"] == ALARM
    assert is_clean(release_system)
    assert await outcome(handle) == "drill passed"
    assert (await handle.describe()).typed_search_attributes[SERVICE] == "crypto-watch"


async def test_drill_weight_has_a_lease_of_its_own(release_system):
    """Whoever looks at the alias, the guard too, sees that a drill moves it and what goes back."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    lease = Lease.from_description(release_system.aws.aliases[STAGING]["Description"])

    assert (lease.holder, lease.baseline) == (handle.id, OLD)
    await handle.signal("abort", {"by": "bob"})
    await handle.result()


async def test_alarm_that_nobody_sees_in_time_is_not_passed(release_system):
    """Blind watching is found by the drill, and the baseline is back all the same."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system, max_seconds=1)

    result = await handle.result()

    assert not result.passed
    assert result.seconds is None
    assert result.reason == "nobody saw the alarm within 1 s"
    assert is_clean(release_system)
    assert await outcome(handle) == "drill failed"


async def test_alarm_that_flips_back_is_raised_again(release_system):
    """CloudWatch's next evaluation clears the alarm; it is red again until somebody has looked."""
    script, alarms = release_system.script, release_system.alarms
    script.hold_at = lambda order: len(alarms.raised) < 2
    script.judge = lambda order: script.judgement(Verdict.FAILED, f"alarm {ALARM}")
    handle = await drill(release_system)
    await until(lambda: len(alarms.raised) >= 2)
    script.release.set()

    result = await handle.result()

    assert result.passed
    assert result.seconds >= 1  # counted from the first raise


async def test_slower_than_the_limit_is_not_passed(release_system):
    """A figure beyond the limit is shown, and is no success."""
    script, alarms = release_system.script, release_system.alarms
    script.hold_at = lambda order: True
    script.judge = lambda order: script.judgement(Verdict.FAILED, f"alarm {ALARM}")
    handle = await drill(release_system, max_seconds=1)
    await until(alarms.raised.__len__)
    busy = ClientError({"Error": {"Code": "TooManyRequestsException"}}, "UpdateAlias")
    release_system.aws.fail_updates_with = [busy, busy]  # the rollback's first attempts
    script.release.set()

    result = await handle.result()

    assert result.seconds > 1
    assert not result.passed
    assert result.reason.endswith("from alarm to 100 % baseline, 1 s are allowed")
    assert is_clean(release_system)


async def test_step_that_ends_for_another_reason_is_no_measurement(release_system):
    """A no-op version that is judged worse says nothing of the alarm's way."""
    script = release_system.script
    script.judge = lambda order: script.judgement(Verdict.FAILED, "new 5 of 9 requests failed")

    result = await (await drill(release_system)).result()

    assert not result.passed
    assert result.seconds is None
    assert "something else ended the step: failed, new 5 of 9" in result.reason
    assert is_clean(release_system)


@pytest.mark.parametrize("way", ["cancel", "abort"])
async def test_drill_that_is_stopped_puts_the_baseline_back(release_system, way):
    """Stopped by Temporal or by a person: the alias is whole before the drill has ended."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)
    assert release_system.aws.serves(environment="staging")[NOOP_VERSION] == WEIGHT

    if way == "abort":
        await handle.signal("abort", {"by": "bob"})
        assert (await handle.result()).reason == "aborted by bob"
    else:
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        assert isinstance(failure.value.cause, CancelledError)

    assert is_clean(release_system)
    assert await outcome(handle) == "drill failed"


@pytest.mark.parametrize("payload", [None, "stop", 7, {"by": ["x"]}])
async def test_abort_takes_any_payload(release_system, payload):
    """An empty or odd form of the Temporal UI stops the drill as well."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    await handle.signal("abort", payload)

    assert (await handle.result()).reason.startswith("aborted by")
    assert is_clean(release_system)


async def test_drill_without_a_published_version_moves_nothing(release_system):
    """What cannot be published cannot be drilled; the alias is not even written."""

    def missing(**_):
        raise ApplicationError("no such function", non_retryable=True)

    release_system.aws.publish_version = missing
    result = await (await drill(release_system)).result()

    assert not result.passed
    assert "no such function" in result.reason
    assert release_system.aws.weights(STAGING) == []
    assert is_clean(release_system)


async def test_split_alias_is_refused(release_system):
    """A release that shifts is not disturbed: nothing is published and nothing is written."""
    routing = {"AdditionalVersionWeights": {"9": 0.3}}
    release_system.aws.aliases[STAGING]["RoutingConfig"] = routing
    handle = await drill(release_system)

    result = await handle.result()

    assert not result.passed
    assert "30 % on version 9" in result.reason
    assert len(release_system.aws.versions[STAGING]) == 2
    assert release_system.aws.weights(STAGING) == []
    assert await outcome(handle) == "drill refused"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (
            Lease(
                holder="promotion/crypto-watch/abc",
                run="r",
                baseline=OLD,
                expires=datetime(2030, 1, 1, tzinfo=UTC),
            ),
            "promotion/crypto-watch/abc holds crypto-watch-api-staging until 00:00:00 UTC",
        ),
        (
            Note(hand=Hand.GUARD, by="g", reason="silence", at=datetime(2030, 1, 1, tzinfo=UTC)),
            "guard put crypto-watch-api-staging back (silence)",
        ),
    ],
)
async def test_alias_that_is_somebodys_is_refused(release_system, description, reason):
    """A lease, or the note of an intervention, in the description is not overwritten."""
    text = description.to_description()
    release_system.aws.aliases[STAGING]["Description"] = text

    result = await (await drill(release_system)).result()

    assert reason in result.reason
    assert release_system.aws.aliases[STAGING]["Description"] == text


async def test_release_that_takes_the_alias_meanwhile_keeps_it(release_system):
    """A third version at the alias is somebody's will; the drill is the one that loses."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)
    release_system.aws.aliases[STAGING] |= {
        "FunctionVersion": "9",
        "RoutingConfig": {},
        "RevisionId": "another hand's",
    }

    await handle.signal("abort")
    result = await handle.result()

    assert not result.passed
    assert release_system.aws.serves(environment="staging") == {"9": 1}


async def test_split_of_another_release_is_not_undone(release_system):
    """The same old version with another canary is a release that has begun: left as it is."""
    release_system.script.hold_at = lambda order: True
    handle = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)
    release_system.aws.aliases[STAGING] |= {
        "RoutingConfig": {"AdditionalVersionWeights": {"9": 0.2}},
        "RevisionId": "another hand's",
    }

    await handle.signal("abort")
    await handle.result()

    assert release_system.aws.serves(environment="staging") == {OLD: 0.8, "9": 0.2}


@workflow.defn(name="PromotionWorkflow", sandboxed=False)
class MovingPromotion:
    """A promotion that is in one stage until it is stopped."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@pytest.mark.parametrize(
    ("environment", "stage"),
    [
        ("prod", Stage.PRODUCTION),
        ("prod", Stage.SHIFT),
        ("prod", Stage.BAKE),
        ("prod", Stage.ROLLBACK),
        ("staging", Stage.STAGING),
    ],
)
async def test_drill_is_refused_while_a_promotion_moves_the_same_alias(
    release_system, environment, stage
):
    """The promotion goes first."""
    client = release_system.environment.client
    identity = f"promotion/crypto-watch/{uuid.uuid4().hex[:12]}"
    promotion = await client.start_workflow(
        MovingPromotion.run,
        id=identity,
        task_queue="nobody's",
        search_attributes=TypedSearchAttributes([SearchAttributePair(STAGE, stage.value)]),
    )
    records = DrillRecords(client)
    asked = DrillsInput(service="crypto-watch", environment=environment)

    async def is_listed():
        return await ActivityEnvironment().run(records.find_promotion_moving, asked) == identity

    await until(is_listed)  # Temporal's list is a moment late
    handle = await drill(release_system, environment=environment)
    result = await handle.result()

    await promotion.terminate()
    assert result.reason == f"{identity} is deploying to {environment}; drill when it has ended"
    assert release_system.aws.writes == []
    assert await outcome(handle) == "drill refused"

    async def is_gone():
        return not await is_listed()

    await until(is_gone)  # the next test's drill must not see it


# --- what a promotion makes of it ---


def passed(age):
    """A drill that passed so long ago."""
    at = datetime.now(UTC) - age
    reason = "2.4 s from alarm to 100 % baseline"
    return DrillResult(environment="staging", at=at, seconds=2.4, passed=True, reason=reason)


def policy_that_requires(release_system):
    """The project's own policy, with a drill as a condition of approval."""
    policy = release_system.policy_with_shift("[shift]\n")
    return policy.model_copy(update={"drill": policy.drill.model_copy(update={"required": True})})


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (None, "never"),
        (passed(timedelta(hours=3, minutes=1)), "3 h ago in staging: 2.4 s from alarm to 100 %"),
        (passed(timedelta(days=17, hours=1)), "17 d ago (stale) in staging: 2.4 s from alarm"),
    ],
)
async def test_last_drill_is_shown_to_the_approvers(release_system, last, shown):
    """Good, stale or none: who approves reads it, and the release goes on."""
    release_system.script.last_drill = last
    handle = await release_system.promote_to_approval()

    request = (await release_system.status(handle)).request

    line = next(line for line in request.splitlines() if "Last Rollback Drill" in line)
    assert shown in line
    await handle.signal("abort")
    await handle.result()


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (None, "no rollback drill was ever run: run `starter.py drill --environment staging`"),
        (passed(timedelta(days=17, hours=1)), "the last rollback drill is 17 d old, over 14 d"),
        (
            DrillResult(environment="staging", at=datetime.now(UTC), reason="nobody saw the alarm"),
            "the last rollback drill did not pass (nobody saw the alarm)",
        ),
    ],
    ids=["never", "stale", "failed"],
)
async def test_required_drill_that_is_missing_ends_the_release(release_system, last, reason):
    """Where the policy requires it nobody is asked to approve, and it is said what to do."""
    release_system.script.last_drill = last
    handle = await release_system.promote(policy=policy_that_requires(release_system))
    await release_system.sign_off_all(handle)

    result = await handle.result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert reason in result.reason
    assert reason in (await release_system.status(handle)).report
    assert "then promote again" in result.reason
    assert all(n.event != "approval_requested" for n in release_system.script.notices)
    assert release_system.aws.weights() == []


async def test_required_drill_that_is_fresh_lets_the_release_on(release_system):
    """The condition is met: the approvers are asked."""
    release_system.script.last_drill = passed(timedelta(days=1))
    policy = policy_that_requires(release_system)

    handle = await release_system.promote_to_approval(policy=policy)

    await handle.signal("abort")
    await handle.result()


async def test_promotion_waits_out_a_drill_in_staging(release_system):
    """A promotion that meets a drill's split deploys once the alias is whole again."""
    release_system.script.hold_at = lambda order: order.watched.environment == "staging"
    drilling = await drill(release_system)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)

    handle = await release_system.promote()
    await release_system.until(handle, lambda status: "may be a rollback drill" in status.next)
    await drilling.signal("abort")
    await drilling.result()
    await release_system.environment.fast_forward(handle, timedelta(seconds=11))
    await release_system.until(handle, lambda status: status.stage is Stage.CHECKLIST)

    assert release_system.aws.serves(environment="staging") != {OLD: 1}
    await handle.signal("abort")
    await handle.result()


async def test_drill_between_reading_and_deploying_does_not_fail_the_promotion(release_system):
    """Staging's alias was moved and put back meanwhile: the promotion deploys all the same."""
    aws, publish_version = release_system.aws, release_system.aws.publish_version

    def drilled_meanwhile(FunctionName, **order):
        if FunctionName == STAGING:
            aws.aliases[STAGING] |= {"RevisionId": "after a drill"}
        return publish_version(FunctionName, **order)

    aws.publish_version = drilled_meanwhile
    handle = await release_system.promote()

    await release_system.until(handle, lambda status: status.stage is Stage.CHECKLIST)

    assert aws.serves(environment="staging") == {"2": 1}
    await handle.signal("abort")
    await handle.result()


# --- what Temporal knows of drills ---


@workflow.defn(name="RollbackDrillWorkflow", sandboxed=False)
class ScriptedDrill:
    """A drill of another service, that ends as it is told."""

    @workflow.run
    async def run(self, result: DrillResult, outcome: str) -> DrillResult:
        if outcome == "running":
            await workflow.wait_condition(lambda: False)
        workflow.upsert_search_attributes([OUTCOME.value_set(outcome)])
        return result


async def last_drill(environment, runs, wanted="staging"):
    """What is found of a fresh service's drills: (environment, result's reason, outcome)."""
    client, service = environment.client, f"s{uuid.uuid4().hex[:8]}"
    records, queue = DrillRecords(client), uuid.uuid4().hex
    asked = DrillsInput(service=service, environment=wanted)
    async with Worker(client, task_queue=queue, workflows=[ScriptedDrill]):
        for number, (where, reason, how) in enumerate(runs):
            result = DrillResult(
                environment=where, at=datetime.now(UTC), reason=reason, passed=True
            )
            handle = await client.start_workflow(
                ScriptedDrill.run,
                args=[result, "running" if how == "terminated" else how],
                id=f"drill/{service}/{where}-2026-01-0{number + 1}T00:00:00Z",
                task_queue=queue,
            )
            if how == "terminated":
                await handle.terminate()
            else:
                await handle.result()
        query = f"WorkflowId STARTS_WITH 'drill/{service}/' AND ExecutionStatus != 'Running'"

        async def are_listed():
            return (await client.count_workflows(query)).count == len(runs)

        await until(are_listed)
    return await ActivityEnvironment().run(records.find_last_drill, asked)


async def test_drill_that_closed_last_is_found_with_its_result(temporal):
    """The newest one counts; a scheduled one's id has its time behind it."""
    runs = [("staging", "first", "drill passed"), ("staging", "second", "drill failed")]

    found = await last_drill(temporal, runs)

    assert found.reason == "second"


async def test_service_that_was_never_drilled_has_no_last_drill(temporal):
    """Never is no error."""
    assert await last_drill(temporal, []) is None


async def test_terminated_drill_counts_as_failed(temporal):
    """What was killed has proved nothing, whatever came before."""
    runs = [("staging", "first", "drill passed"), ("staging", "", "terminated")]

    found = await last_drill(temporal, runs)

    assert not found.passed
    assert (found.environment, found.reason) == ("staging", "the drill was terminated")


async def test_refused_drill_is_passed_over(temporal):
    """A drill that gave way to a release says nothing; the one before still stands."""
    runs = [("prod", "first", "drill passed"), ("prod", "second", "drill refused")]

    assert (await last_drill(temporal, runs)).reason == "first"


async def test_drill_in_staging_is_none_where_production_is_wanted(temporal):
    """A policy that drills production is not satisfied by staging; the other way round it is."""
    staging, prod = [("staging", "s", "drill passed")], [("prod", "p", "drill passed")]

    assert await last_drill(temporal, staging, wanted="prod") is None
    assert (await last_drill(temporal, prod, wanted="staging")).reason == "p"


# --- the no-op version ---


def publish(aws, label="now"):
    """The no-op version's number."""
    noop = NoopInput(function=STAGING, baseline=OLD, bucket="artifacts", label=label)
    return ActivityEnvironment().run(Drills(aws, None).publish_noop, noop)


async def test_noop_version_is_the_old_one_with_one_variable_more(release_system):
    """Same code and variables; `$LATEST` has what it had."""
    aws = release_system.aws
    aws.versions[STAGING][0] |= {"Environment": {"Variables": {"TABLE": "t"}}}
    seen = []
    publish_version = aws.publish_version

    def watched(**order):
        seen.append(dict(aws.versions[STAGING][0]["Environment"]["Variables"]))
        return publish_version(**order)

    aws.publish_version = watched
    number = publish(aws)

    assert seen == [{"TABLE": "t", "DRILL": "now"}]
    assert aws.versions[STAGING][0]["Environment"]["Variables"] == {"TABLE": "t"}
    assert aws.versions[STAGING][-1]["Description"] == f"{NOOP} now"
    assert number == NOOP_VERSION


async def test_noop_version_is_published_once(release_system):
    """A retry whose first answer was lost finds the version."""
    assert publish(release_system.aws) == publish(release_system.aws)
    assert len(release_system.aws.versions[STAGING]) == 3


async def test_earlier_noop_versions_are_deleted(release_system):
    """Drills do not pile up versions; releases' own versions stay."""
    publish(release_system.aws, "last week")
    publish(release_system.aws, "today")

    descriptions = [v["Description"] for v in release_system.aws.versions[STAGING][1:]]
    assert descriptions == ["", f"{NOOP} today"]


async def test_drill_after_a_rollback_has_the_old_code(release_system):
    """`$LATEST` still holds the bad release: the no-op version must not."""
    aws = release_system.aws
    good, bad = "Z29vZA==", "YmFk"
    aws.versions[STAGING][0]["CodeSha256"] = bad
    aws.versions[STAGING][1]["CodeSha256"] = good
    configuration = aws.get_function_configuration

    def qualified(FunctionName, Qualifier=None):
        if Qualifier is None:
            return configuration(FunctionName)
        return aws.versions[FunctionName][int(Qualifier)]

    aws.get_function_configuration = qualified
    publish(aws)

    assert aws.versions[STAGING][0]["CodeSha256"] == good

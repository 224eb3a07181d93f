"""A changed template in the flow: shown, approved, executed before traffic, refused, waived."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.infrastructure import NOT_EXECUTED
from release.change_set import Action, Replacement, ResourceChange
from release.channels import Event
from release.decisions import Waive
from release.policy import parse_policy
from release.promotion import Outcome, Stage
from release.verdict import Verdict
from tests.flow.release_system import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

RETENTION = ResourceChange(
    logical_id="ApiLogs",
    type="AWS::Logs::LogGroup",
    action=Action.MODIFY,
    properties=("RetentionInDays",),
    details=("RetentionInDays 30 → 60",),
)
NEW_KEY = ResourceChange(
    logical_id="Table",
    type="AWS::DynamoDB::Table",
    action=Action.MODIFY,
    replacement=Replacement.ALWAYS,
    properties=("KeySchema",),
)
OTHER_VERSION = ResourceChange(
    logical_id="ApiAlias", type="AWS::Lambda::Alias", action=Action.MODIFY
)
PROD, STAGING = "crypto-watch-prod", "crypto-watch-staging"


def waits_for_waiver(status) -> bool:
    """Whether a refused change waits for somebody's word."""
    return bool(status.infrastructure.objections)


async def test_changed_template_is_executed_before_any_traffic_moves(release_system):
    """Staging's stack before its deploy, production's after the approval, at weight 0."""
    release_system.script.stack_changes = lambda _: (RETENTION,)

    result = await (await release_system.promote_and_pass_gates()).result()

    assert result.outcome is Outcome.COMPLETED
    assert release_system.script.stack_updates == [(STAGING, {"1": 1}), (PROD, {"1": 1})]
    assert release_system.aws.serves() == {"2": 1}
    assert release_system.script.discarded == []


async def test_stack_changes_before_the_version_that_takes_it_over_is_published(release_system):
    """A version keeps the memory and variables that its function has when it is published."""
    versions = release_system.aws.versions["crypto-watch-api-prod"]
    seen = []
    release_system.script.stack_changes = lambda _: (RETENTION,)
    release_system.script.stack_error = lambda order: seen.append((order.stack, len(versions)))

    await (await release_system.promote_and_pass_gates()).result()

    assert seen == [(STAGING, 2), (PROD, 2)]
    assert len(versions) == 3


async def test_unchanged_template_executes_nothing(release_system):
    """No change set, and the approvers read that the stack stays as it is."""
    handle = await release_system.promote_to_approval()

    assert "`crypto-watch-prod` stays as it is." in (await release_system.status(handle)).request
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED
    assert release_system.script.stack_updates == []


async def test_approvers_are_shown_the_change(release_system):
    """In the request, in the status, and bound to what they approve by its digest."""
    handle = await release_system.promote_to_approval()
    without = (await release_system.status(handle)).digest
    await handle.signal("abort")
    release_system.script.stack_changes = lambda _: (RETENTION,)
    handle = await release_system.promote_to_approval()

    status = await release_system.status(handle)

    assert "- `Modify ApiLogs (AWS::Logs::LogGroup): RetentionInDays 30 → 60`" in status.request
    assert status.infrastructure.prod.changes == (RETENTION,)
    assert status.digest != without
    assert release_system.script.stack_updates == [(STAGING, {"1": 1})]
    await handle.signal("abort")
    await handle.result()
    assert release_system.script.discarded == [PROD]


async def test_change_that_became_another_voids_the_approvals(release_system):
    """Somebody updated the stack meanwhile: what was agreed to is not what would be done."""
    plans = [(RETENTION,), (RETENTION,), (OTHER_RETENTION,)]
    release_system.script.stack_changes = lambda _: plans.pop(0) if len(plans) > 1 else plans[0]
    handle = await release_system.promote_to_approval()
    before = (await release_system.status(handle)).digest
    await release_system.approve(handle)

    status = await release_system.until(handle, lambda s: s.digest not in ("", before))

    assert status.votes == ()
    assert [r.text for r in status.inbox if r.kind == "void"] == [
        "production's stack would become something else; the approvals of alice, bob are void"
    ]
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED


OTHER_RETENTION = RETENTION.model_copy(update={"details": ("RetentionInDays 14 → 60",)})


async def test_replaced_table_ends_as_needs_fix_when_nobody_waives_it(release_system):
    """Neither stack was touched, and the developer reads why."""
    release_system.script.stack_changes = lambda _: (NEW_KEY,)
    handle = await release_system.promote()
    status = await release_system.until(handle, waits_for_waiver)
    assert status.stage is Stage.STAGING
    await release_system.environment.fast_forward(handle, timedelta(hours=1, minutes=1))

    result = await handle.result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert result.reason == (
        "infrastructure of crypto-watch-staging refused: Modify Table (AWS::DynamoDB::Table), "
        "is replaced: it holds data, or an address that others know"
    )
    assert release_system.script.stack_updates == []
    assert release_system.script.discarded == [STAGING]
    assert release_system.aws.writes == []


async def test_waiver_lets_a_replaced_table_through(release_system):
    """One word for both stacks, as both would lose the same; approvers read whose it was."""
    release_system.script.stack_changes = lambda _: (NEW_KEY,)
    handle = await release_system.promote()
    await release_system.until(handle, waits_for_waiver)
    waive = Waive(item="infrastructure", by="bob", reason="the table is a cache")
    await handle.execute_update("waive", waive)
    await release_system.sign_off_all(handle)
    status = await release_system.until(handle, lambda s: s.stage is Stage.APPROVAL and s.digest)

    assert "- waived by bob: `the table is a cache`" in status.request
    await release_system.approve(handle)
    assert (await handle.result()).outcome is Outcome.COMPLETED
    assert [stack for stack, _ in release_system.script.stack_updates] == [STAGING, PROD]


async def test_waiver_does_not_cover_what_only_production_would_lose(release_system):
    """It was given for what was shown."""
    logs = NEW_KEY.model_copy(update={"logical_id": "ApiLogs", "type": "AWS::Logs::LogGroup"})
    release_system.script.stack_changes = lambda order: (
        (NEW_KEY, logs) if order.stack == PROD else (NEW_KEY,)
    )
    handle = await release_system.promote()
    await release_system.until(handle, waits_for_waiver)
    waiver = {"item": "infrastructure", "by": "alice", "reason": "a cache"}
    await handle.execute_update("waive", waiver)
    await release_system.sign_off_all(handle)

    status = await release_system.until(
        handle, lambda s: s.stage is Stage.CHECKLIST and waits_for_waiver(s)
    )

    assert [text.partition(" (")[0] for text in status.infrastructure.objections] == [
        "Modify ApiLogs"
    ]
    await handle.signal("abort")
    await handle.result()


async def test_who_may_waive_is_told(release_system):
    """The question stands an hour: somebody has to hear of it."""
    text = (ROOT / "release.toml").read_text()
    channel = '\n[[notify]]\nkind = "webhook"\nname = "team"\nurl_secret = "team/url"\n'
    release_system.script.stack_changes = lambda _: (NEW_KEY,)
    handle = await release_system.promote(policy=parse_policy(text + channel))
    await release_system.until(
        handle, lambda _: any(n.event == Event.REMINDER for n in release_system.script.notices)
    )

    [notice] = [n for n in release_system.script.notices if n.event == Event.REMINDER]
    assert notice.title == "crypto-watch 1.2.3 waits for a waiver, or ends"
    assert "technical lead, operations lead" in notice.markdown
    assert "starter.py waive aaaaaaa infrastructure" in notice.markdown
    await handle.signal("abort")
    await handle.result()


@pytest.mark.parametrize(
    ("by", "refusal"),
    [
        ("carol", "carol may not waive"),
        ("paula", "paula may not waive"),
    ],
)
async def test_waiver_counts_from_its_roles_alone(release_system, by, refusal):
    """The same roles that may waive an item of the checklist."""
    release_system.script.stack_changes = lambda _: (NEW_KEY,)
    handle = await release_system.promote()
    await release_system.until(handle, waits_for_waiver)

    waive = Waive(item="infrastructure", by=by, reason="why not")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("waive", waive)

    assert refusal in str(refused.value.cause)
    assert waits_for_waiver(await release_system.status(handle))
    await handle.signal("abort")
    await handle.result()


async def test_waiver_before_anything_is_refused_does_not_count(release_system):
    """Nobody can agree to what was not shown."""
    handle = await release_system.promote_to_approval()

    waive = Waive(item="infrastructure", by="bob", reason="whatever it is")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("waive", waive)

    assert "no change of the infrastructure waits" in str(refused.value.cause)
    await handle.signal("abort")
    await handle.result()


async def test_template_that_moves_traffic_is_refused_at_once(release_system):
    """The alias belongs to the ladder; no waiver is waited for."""
    release_system.script.stack_changes = lambda _: (OTHER_VERSION,)

    result = await (await release_system.promote()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert result.reason.endswith("it would move traffic past the ladder")
    assert release_system.script.stack_updates == []


async def test_update_that_fails_in_staging_is_the_developers_to_fix(release_system):
    """With what CloudFormation said; staging's code was not deployed."""
    release_system.script.stack_changes = lambda _: (RETENTION,)
    release_system.script.stack_error = lambda _: refused_by_cloudformation()

    result = await (await release_system.promote()).result()

    assert result.outcome is Outcome.NEEDS_FIX
    assert result.reason == "infrastructure: not changed: Table: limit exceeded"
    assert release_system.aws.writes == []


async def test_update_that_fails_in_production_ends_as_failed_before_traffic_moves(
    release_system,
):
    """The stack rolled itself back, and nobody met the new version."""
    release_system.script.stack_changes = lambda _: (RETENTION,)
    release_system.script.stack_error = lambda order: (
        refused_by_cloudformation() if order.stack == PROD else None
    )
    handle = await release_system.promote_and_pass_gates()

    with pytest.raises(WorkflowFailureError):
        await handle.result()

    status = await release_system.status(handle)
    assert status.outcome is Outcome.FAILED
    assert "not changed: Table: limit exceeded" in status.reason
    assert release_system.aws.weights() == []
    assert release_system.aws.serves() == {"1": 1}


async def test_rollback_leaves_the_stack_and_says_so(release_system):
    """The record tells that the old code now runs on the new infrastructure."""
    release_system.script.stack_changes = lambda _: (RETENTION,)
    release_system.script.judge = lambda _: release_system.script.judgement(Verdict.FAILED, "worse")
    handle = await release_system.promote_and_pass_gates()

    assert (await handle.result()).outcome is Outcome.ROLLED_BACK

    told = [
        r.text for r in (await release_system.status(handle)).inbox if r.kind == "infrastructure"
    ]
    assert told == [
        "the stack crypto-watch-prod was changed before traffic moved and is not put back: "
        "1 resource is as the new commit says"
    ]
    [incident] = release_system.script.incidents
    assert incident.infrastructure == told[0]
    assert told[0] in [record.text for record in incident.messages]


async def test_service_without_a_template_has_none_of_this(release_system):
    """Its stacks are somebody else's."""
    text = (ROOT / "release.toml").read_text()
    begin = text.index("[infrastructure]")
    policy = parse_policy(text[:begin] + text[text.index("# Who hears of releases") :])
    release_system.script.stack_changes = lambda _: (NEW_KEY,)
    handle = await release_system.promote_to_approval(policy=policy)

    status = await release_system.status(handle)

    assert status.infrastructure is None
    assert "Infrastructure" not in status.request
    await handle.signal("abort")
    await handle.result()


def refused_by_cloudformation() -> ApplicationError:
    """As the activity says it."""
    text = "not changed: Table: limit exceeded"
    return ApplicationError(text, type=NOT_EXECUTED, non_retryable=True)

"""Which changes of a stack are refused, which may be waived, and how they are told."""

from datetime import UTC, datetime

import pytest

from release.change_set import (
    Action,
    InfrastructurePlan,
    InfrastructureStatus,
    InfrastructureWaiver,
    Replacement,
    ResourceChange,
)
from release.infrastructure import diff_lines, forbidden, objections, uncovered
from release.policy import PolicyError, parse_policy
from tests.rules.test_policy import TEXT

ALIAS, FUNCTION, TABLE = "AWS::Lambda::Alias", "AWS::Lambda::Function", "AWS::DynamoDB::Table"
INTEGRATION, LOGS = "AWS::ApiGatewayV2::Integration", "AWS::Logs::LogGroup"
NEVER, MAYBE, ALWAYS = Replacement.NEVER, Replacement.CONDITIONAL, Replacement.ALWAYS


def plan(
    type_: str,
    action: Action = Action.MODIFY,
    replacement: Replacement = NEVER,
    properties: tuple[str, ...] = (),
) -> InfrastructurePlan:
    """A stack in which one resource changes."""
    change = ResourceChange(
        logical_id="It",
        type=type_,
        action=action,
        replacement=replacement,
        properties=properties,
        details=properties,
    )
    return InfrastructurePlan(stack="shop-prod", change_set="promotion-1", changes=(change,))


@pytest.mark.parametrize("type_", [TABLE, LOGS, "AWS::S3::Bucket", "AWS::SecretsManager::Secret"])
@pytest.mark.parametrize(
    ("action", "replacement", "is_refused"),
    [
        (Action.ADD, NEVER, False),
        (Action.MODIFY, NEVER, False),
        (Action.MODIFY, MAYBE, True),
        (Action.MODIFY, ALWAYS, True),
        (Action.REMOVE, NEVER, True),
        (Action.IMPORT, NEVER, False),
    ],
)
def test_what_would_lose_data_needs_a_waiver(type_, action, replacement, is_refused):
    """Removed, made anew, or perhaps made anew."""
    changed = plan(type_, action, replacement)

    assert bool(objections(changed)) is is_refused
    assert forbidden(changed) == ()


def test_what_holds_nothing_may_be_made_anew():
    """A schedule, a role, an alarm."""
    for type_ in ("AWS::Events::Rule", "AWS::IAM::Role", "AWS::CloudWatch::Alarm"):
        assert objections(plan(type_, Action.REMOVE)) == ()
        assert forbidden(plan(type_, Action.MODIFY, ALWAYS)) == ()


@pytest.mark.parametrize(
    "changed",
    [
        plan(ALIAS),
        plan(ALIAS, Action.REMOVE),
        plan("AWS::Lambda::Version", Action.MODIFY, ALWAYS),
        plan(FUNCTION, Action.MODIFY, ALWAYS),
        plan(FUNCTION, Action.REMOVE),
        plan(INTEGRATION, properties=("IntegrationUri",)),
        plan("AWS::ApiGatewayV2::Route", properties=("Target",)),
        plan("AWS::ApiGatewayV2::Stage", Action.REMOVE),
    ],
    ids=lambda changed: changed.changes[0].text(),
)
def test_what_would_move_traffic_is_refused_whatever_anybody_says(changed):
    """That is the ladder's, which judges every step of it."""
    assert forbidden(changed)


@pytest.mark.parametrize(
    "changed",
    [
        plan(FUNCTION, properties=("MemorySize", "Environment", "Code")),
        plan(FUNCTION, Action.ADD),
        plan(ALIAS, Action.ADD),
        plan(INTEGRATION, properties=("TimeoutInMillis",)),
    ],
    ids=lambda changed: changed.changes[0].text(),
)
def test_what_changes_the_next_version_is_allowed(changed):
    """A published version keeps its code, its memory and its variables."""
    assert (forbidden(changed), objections(changed)) == ((), ())


def test_waiver_covers_what_it_was_given_for():
    """The same change, and no other."""
    replaced, removed = plan(TABLE, Action.MODIFY, ALWAYS), plan(TABLE, Action.REMOVE)
    waiver = InfrastructureWaiver(
        by="bob", at=datetime(2026, 1, 1, tzinfo=UTC), reason="a cache", covers=objections(replaced)
    )

    assert uncovered(replaced, (waiver,)) == ()
    assert uncovered(removed, (waiver,)) == objections(removed)
    assert uncovered(replaced, ()) == objections(replaced)


def test_change_is_told_with_all_that_matters():
    """What, of which type, whether it is made anew, and which of its properties."""
    [line] = diff_lines(plan(LOGS, Action.MODIFY, MAYBE, ("RetentionInDays 14 → 60",)))

    assert line == "Modify It (AWS::Logs::LogGroup), may be replaced: RetentionInDays 14 → 60"


def test_what_may_follow_is_one_line():
    """A role that names a log group's address may change with it; people look for the log group."""
    [sure] = plan(LOGS, properties=("RetentionInDays",)).changes
    role = ResourceChange(
        logical_id="Role", type="AWS::IAM::Role", action=Action.MODIFY, is_certain=False
    )
    other = role.model_copy(update={"logical_id": "Other"})
    lost = sure.model_copy(
        update={"logical_id": "Lost", "replacement": MAYBE, "is_certain": False, "details": ()}
    )
    many = InfrastructurePlan(stack="shop-prod", changes=(role, sure, other, lost))

    assert diff_lines(many) == [
        "Modify It (AWS::Logs::LogGroup): RetentionInDays",
        "Modify Lost (AWS::Logs::LogGroup), may be replaced",
        "and what may follow from it: Role, Other",
    ]


def test_very_many_changes_are_counted():
    """A page has an end."""
    many = plan(LOGS).changes * 100

    lines = diff_lines(plan(LOGS).model_copy(update={"changes": many}))

    assert lines[-1] == "and 60 more"


@pytest.mark.parametrize(
    ("begun", "executed", "said"),
    [
        ((), (), ""),
        (("shop-staging",), ("shop-staging",), ""),
        (("shop-prod",), (), "was being changed"),
        (("shop-prod",), ("shop-prod",), "was changed"),
    ],
)
def test_what_a_rollback_leaves_is_said(begun, executed, said):
    """Production's stack, from the moment that CloudFormation was asked."""
    status = InfrastructureStatus(prod=plan(LOGS), begun=begun, executed=executed)

    assert said in status.staying()
    assert bool(status.staying()) is bool(said)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('stack = "shop"', "{environment}"),
        ('template = "../elsewhere.yaml"', "infrastructure.template"),
        ('waive_within = "soon"', "infrastructure.waive_within"),
    ],
)
def test_mistake_in_the_policy_is_one_line(line, place):
    """As any other."""
    name = line.partition(" ")[0]
    begin, end = TEXT.index("[infrastructure]"), TEXT.index("# Who hears of releases")
    kept = [one for one in TEXT[begin:end].splitlines() if not one.startswith(name)]
    text = TEXT[:begin] + "\n".join([*kept, line, ""]) + TEXT[end:]

    with pytest.raises(PolicyError) as refused:
        parse_policy(text)

    assert place in str(refused.value)
    assert "\n" not in str(refused.value)


def test_stacks_are_named_by_the_policy():
    """As CloudFormation knows them."""
    assert parse_policy(TEXT).stack_name("prod") == "crypto-watch-prod"

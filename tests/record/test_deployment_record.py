"""One version is active, whoever tells of it when, and how often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.deployment_table import DeploymentTable
from activities.deployments import Deployments
from activities.inputs import DeploymentsInput
from release.deployment import Rung
from tests.local import front_door_parts as parts
from tests.record.conftest import back, served

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def statuses(record: DeploymentTable) -> dict[str, str]:
    """Version → its status."""
    return {one.version: one.status.value for one in record.all()}


def test_item_has_the_flows_shape(record, item_table):
    """Key and attributes are those that the flow's document shows; more stands beside them."""
    record.record([served("1.2.3", AT, "abc123def456", deployed_by="github-actions")])

    item = item_table.get_item(Key={"PK": "DEPLOYMENT#prod", "SK": "VERSION#1.2.3"})["Item"]

    assert (
        item
        | {
            "version": "1.2.3",
            "deployedAt": "2026-01-01T10:00:00Z",
            "deployedBy": "github-actions",
            "gitCommit": "abc123def456",
            "status": "active",
        }
        == item
    )


def test_everything_told_is_read_back(record):
    """Hashes, alias versions, the ramp, approvers: nothing is lost on the way."""
    told = served(
        "1.2.3",
        AT,
        outcome="completed",
        approvers=("alice", "bob"),
        artifacts={"api": "ab" * 32},
        alias_versions={"api": "7"},
        ramp=(Rung(weight=0.1, at=AT, verdict="passed"), Rung(weight=1, at=AT + HOUR)),
    )

    record.record([told])

    assert record.all() == [told]


def test_newer_release_supersedes_the_active_one(record):
    """The listing has the newest first, and says what took the older one's place."""
    record.record([served("1.2.3", AT)])
    record.record([served("1.3.0", AT + HOUR)])

    newest, older = record.all()
    assert (newest.version, newest.status) == ("1.3.0", "active")
    assert (older.version, older.status, older.reason) == ("1.2.3", "superseded", "by 1.3.0")


def test_late_writer_does_not_become_active_over_a_newer_release(record):
    """DynamoDB was down while two releases completed; the older one's word comes last."""
    record.record([served("1.3.0", AT + HOUR)])

    [told] = record.record([served("1.2.3", AT)])

    assert told.status == "superseded"
    assert statuses(record) == {"1.3.0": "active", "1.2.3": "superseded"}


def test_word_that_comes_again_writes_nothing(record, dynamodb):
    """A retry whose first answer was lost finds that it is done."""
    record.record([served("1.2.3", AT)])
    writes = []
    dynamodb.meta.events.register(
        "before-call.dynamodb.TransactWriteItems", lambda **_: writes.append(1)
    )

    record.record([served("1.2.3", AT)])

    assert writes == []


def test_answer_that_is_lost_leaves_one_record(record, dynamodb):
    """The write went through, its answer did not: the retry ends at the same record."""

    def lose(**_: Any) -> None:
        dynamodb.meta.events.unregister("after-call.dynamodb.TransactWriteItems", lose)
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")

    dynamodb.meta.events.register("after-call.dynamodb.TransactWriteItems", lose)
    with pytest.raises(ClientError):
        record.record([served("1.2.3", AT)])

    record.record([served("1.2.3", AT)])

    [one] = record.all()
    assert [change.status for change in one.changes] == ["active"]


def test_promotion_that_went_back_leaves_the_active_one(record):
    """It never was active; its reason stays."""
    record.record([served("1.2.3", AT)])

    record.record([back("1.3.0", AT + HOUR, "errors at 30%")])

    found = {one.version: (one.status, one.reason) for one in record.all()}
    assert found == {"1.2.3": ("active", ""), "1.3.0": ("rolled_back", "errors at 30%")}


def test_only_record_of_one_that_went_back_is_active_nowhere(record):
    """Before the first release that stays there is no active one."""
    record.record([back("0.1.0", AT)])

    assert statuses(record) == {"0.1.0": "rolled_back"}


def test_rollback_moves_the_record_back(record):
    """What was undone has its reason, what serves now is active again."""
    record.record([served("1.2.3", AT)])
    record.record([served("1.3.0", AT + HOUR)])

    record.record([served("1.2.3", AT + 2 * HOUR, promotion=""), back("1.3.0", AT + 2 * HOUR)])

    assert statuses(record) == {"1.2.3": "active", "1.3.0": "rolled_back"}
    older = next(one for one in record.all() if one.version == "1.2.3")
    assert [change.status for change in older.changes] == ["active", "active"]
    assert older.deployed_at == AT


def test_every_order_of_telling_ends_the_same(record):
    """Two releases, a rollback, and a third: each writer may be the last."""
    told = [
        [served("1.0.0", AT)],
        [served("1.1.0", AT + HOUR, outcome="completed")],
        [served("1.0.0", AT + 2 * HOUR, promotion=""), back("1.1.0", AT + 2 * HOUR)],
        [served("1.2.0", AT + 3 * HOUR)],
    ]
    for number, order in enumerate(permutations(told)):
        own = DeploymentTable(record._dynamodb, record._table, f"prod{number}")
        for words in order:
            own.record([one.model_copy(update={"environment": f"prod{number}"}) for one in words])

        assert statuses(own) == {"1.0.0": "superseded", "1.1.0": "rolled_back", "1.2.0": "active"}
        undone = next(one for one in own.all() if one.version == "1.1.0")
        assert (undone.reason, undone.outcome) == ("errors", "completed")


def test_concurrent_writers_make_one_active(port, item_table):
    """Eight at once, with clients of their own: the one that began to serve last is active."""

    def write(number: int) -> None:
        own = DeploymentTable(parts.client("dynamodb", port), item_table.name, "prod")
        for _ in range(20):
            try:
                own.record([served(f"1.{number}.0", AT + number * HOUR)])
            except RuntimeError:
                continue  # as the activity's retries do
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))

    found = statuses(DeploymentTable(parts.client("dynamodb", port), item_table.name, "prod"))
    assert len(found) == 8
    assert [v for v, status in found.items() if status == "active"] == ["1.7.0"]


def test_version_that_another_commit_has_is_not_taken_from_it(record):
    """Two promotions that chose one name at once: both stand in the record."""
    record.record([served("1.2.3", AT, "a" * 40)])

    record.record([served("1.2.3", AT + HOUR, "b" * 40)])
    record.record([served("1.2.3", AT + HOUR, "b" * 40)])

    commits = {one.version: one.git_commit for one in record.all()}
    assert commits == {"1.2.3": "a" * 40, "1.2.3+bbbbbbb": "b" * 40}
    assert statuses(record) == {"1.2.3": "superseded", "1.2.3+bbbbbbb": "active"}


def test_commit_that_comes_again_is_active_again(record):
    """Its number and what happened to it the first time are kept."""
    record.record([served("1.2.3", AT)])
    record.record([served("1.3.0", AT + HOUR)])
    record.record([served("1.2.3", AT + 2 * HOUR, promotion=""), back("1.3.0", AT + 2 * HOUR)])

    record.record([served("1.3.0", AT + 3 * HOUR)])

    newest = record.all()[0]
    assert (newest.version, newest.status, newest.deployed_at) == (
        "1.3.0",
        "active",
        AT + 3 * HOUR,
    )
    assert [change.reason for change in newest.changes] == ["", "errors", ""]


def test_attribute_of_another_hand_is_passed_over(record, item_table):
    """A newer release of this system may write more into the item."""
    record.record([served("1.2.3", AT)])
    item_table.update_item(
        Key={"PK": "DEPLOYMENT#prod", "SK": "VERSION#1.2.3"},
        UpdateExpression="SET later = :x",
        ExpressionAttributeValues={":x": "more"},
    )

    assert [one.version for one in record.all()] == ["1.2.3"]


def test_item_that_dynamodb_never_takes_is_refused_for_good(dynamodb, item_table):
    """An item over 400 KB is not tried for ever; a missing table is, for it may come back."""
    huge = served("1.2.3", AT, deployed_by="x" * 500_000)
    activity = Deployments(dynamodb).record_deployments

    def write(table: str, one: Any) -> None:
        order = DeploymentsInput(table=table, environment="prod", deployments=(one,))
        ActivityEnvironment().run(activity, order)

    with pytest.raises(ApplicationError, match="DynamoDB refuses the item") as refused:
        write(item_table.name, huge)
    assert refused.value.non_retryable

    with pytest.raises(ClientError, match="ResourceNotFound"):
        write("crypto-watch-nowhere", served("1.2.3", AT))

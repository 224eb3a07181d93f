"""What a promotion leaves in the deployment record, with the real activity on a table."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from activities.deployment_table import DeploymentTable
from activities.deployments import Deployments
from release.deployment import Deployment
from release.records import RecordResult
from release.verdict import Verdict
from tests.flow.release_system import SHA

pytestmark = pytest.mark.asyncio(loop_scope="session")


def create(dynamodb: Any, environment: str) -> None:
    """The environment's table, empty."""
    keys = {"PK": "HASH", "SK": "RANGE"}
    dynamodb.create_table(
        TableName=f"crypto-watch-{environment}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
        KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys.items()],
    )


@pytest.fixture
def tables(release_system, monkeypatch) -> Iterator[SimpleNamespace]:
    """Both environments' tables; the record is written to them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="eu-west-1")
        for environment in ("prod", "staging"):
            create(dynamodb, environment)
        release_system.script.deployments = Deployments(dynamodb)

        def of(environment: str) -> list[Deployment]:
            return DeploymentTable(dynamodb, f"crypto-watch-{environment}", environment).all()

        yield SimpleNamespace(of=of, dynamodb=dynamodb)


async def recorded(release_system: Any, handle: Any) -> RecordResult:
    """The record of a promotion, once it is written."""
    await handle.result()
    run = (await handle.describe()).run_id
    record = release_system.environment.client.get_workflow_handle(
        f"record/crypto-watch/{SHA[:12]}/{run[-8:]}", result_type=RecordResult
    )
    return await record.result()


async def test_completed_promotion_is_active_in_both_environments(release_system, tables):
    """When, by whom, which bytes, which versions, the ramp, who let it in."""
    handle = await release_system.promote_and_pass_gates()

    kept = (await recorded(release_system, handle)).kept

    status = await release_system.status(handle)
    [prod], [staging] = tables.of("prod"), tables.of("staging")
    assert (prod.version, prod.git_commit, prod.status) == ("1.2.3", SHA, "active")
    assert (prod.deployed_by, prod.outcome) == ("dora", "completed")
    assert prod.approvers == ("alice", "bob")
    assert prod.alias_versions == {"api": "2", "fetcher": "2"}
    assert prod.artifacts == {"api": "ab" * 32, "fetcher": "ab" * 32}
    assert prod.deployed_at < status.steps[-1].ended_at
    assert (prod.ramp[0].weight < 0.1, prod.ramp[-1].weight) == (True, 1)
    assert {rung.verdict for rung in prod.ramp} == {"passed"}
    assert (staging.version, staging.status, staging.ramp) == ("1.2.3", "active", ())
    assert staging.deployed_at == status.staged_at.replace(microsecond=0)
    said = {one.text for one in kept}
    assert {"crypto-watch-prod: 1.2.3 active", "crypto-watch-staging: 1.2.3 active"} <= said


async def test_promotion_that_went_back_is_recorded_with_its_reason(release_system, tables):
    """Users met it: that stands in production's record, though it never was active."""
    script = release_system.script
    script.judge = lambda order: script.judgement(
        Verdict.FAILED if order.weight >= 0.1 else Verdict.PASSED, "errors at 30%"
    )
    handle = await release_system.promote_and_pass_gates()

    await recorded(release_system, handle)

    [prod], [staging] = tables.of("prod"), tables.of("staging")
    assert (prod.status, prod.outcome) == ("rolled_back", "rolled back")
    assert "errors at 30%" in prod.reason
    assert prod.ramp[-1].verdict == "failed"
    assert staging.status == "active"  # staging keeps the new version


async def test_promotion_that_moved_no_traffic_is_not_in_productions_record(release_system, tables):
    """It was in staging, and that is all that was deployed."""
    release_system.script.checks = lambda name: (
        Verdict.FAILED if name == "precision" else Verdict.PASSED
    )
    handle = await release_system.promote()

    await recorded(release_system, handle)

    assert tables.of("prod") == []
    assert [one.version for one in tables.of("staging")] == ["1.2.3"]


async def test_commit_that_cannot_be_tested_has_no_record_before_staging(release_system, tables):
    """Nothing was deployed anywhere."""
    release_system.script.build_error = ClientError({"Error": {"Code": "x"}}, "PutObject")
    handle = await release_system.promote()
    await release_system.until(handle, lambda status: status.next)
    await handle.signal("abort", {"by": "carol", "reason": "no need"})

    assert [one.what for one in (await recorded(release_system, handle)).kept] == ["audit"]
    assert release_system.script.recorded == []


async def test_table_that_is_down_holds_up_no_release(release_system, tables):
    """The promotion ends at once; the record is late by as long as the table was gone."""
    tables.dynamodb.delete_table(TableName="crypto-watch-prod")
    handle = await release_system.promote_and_pass_gates()

    assert (await handle.result()).outcome == "completed"

    script = release_system.script
    await release_system.until(handle, lambda _: len(script.recorded) >= 3)  # one was tried again
    create(tables.dynamodb, "prod")
    await recorded(release_system, handle)
    assert [one.status for one in tables.of("prod")] == ["active"]

"""The laptop cloud's first version has a record, which promotions go on from."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.deployment_table import DeploymentTable
from infra.local.environment_spec import EnvironmentSpec
from infra.local.first_record import put_first_record
from tests.record.conftest import served


@pytest.fixture
def spec(item_table) -> EnvironmentSpec:
    """Production, whose table is this test's."""
    service, _, environment = item_table.name.rpartition("-")
    return EnvironmentSpec(
        service=service,
        environment=environment,
        url="http://127.0.0.1",
        price_feed="http://127.0.0.1/api/v3",
        artifacts={"api": "ab" * 32, "fetcher": "cd" * 32, "guard": "ef" * 32},
        version="0.1.0",
        git_sha="a" * 40,
        rate_limit=100,
        alarm_period_seconds=60,
        symbols=["BTC"],
    )


def test_first_version_is_active_until_a_promotion_follows(dynamodb, item_table, spec):
    """It is superseded like any other, and made once only."""
    record = DeploymentTable(dynamodb, item_table.name, spec.environment)
    put_first_record(dynamodb, spec, {"api": "1", "fetcher": "1"})
    [first] = record.all()
    assert (first.version, first.status, first.git_commit) == ("0.1.0", "active", "a" * 40)
    assert first.alias_versions == {"api": "1", "fetcher": "1"}

    later = served("0.1.1", datetime.now(UTC) + timedelta(hours=1))
    record.record([later.model_copy(update={"environment": spec.environment})])
    put_first_record(dynamodb, spec, {"api": "1", "fetcher": "1"})

    assert {one.version: one.status for one in record.all()} == {
        "0.1.0": "superseded",
        "0.1.1": "active",
    }

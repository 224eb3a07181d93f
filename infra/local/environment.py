"""An environment of the service on the laptop: what `infra/template.yaml` makes in an account.

The first version of the functions is published here; every later one by a promotion.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from infra.local.api_keys import create_api_keys
from infra.local.clients import Clients, already_there
from infra.local.first_record import put_first_record
from infra.local.first_version import ALIAS, KINDS, EnvironmentSpec, create_functions
from infra.local.guard import GUARD, put_guard
from infra.local.settings import Frozen
from release.alarms import rollback_alarms
from release.api_keys import ApiKey, new_key

_TEST_KEYS = 8  # as the checks of staging share them out: activities/staging.py

__all__ = ["EnvironmentReport", "EnvironmentSpec", "create_api_keys", "create_environment"]


class EnvironmentReport(Frozen):
    """An environment as it is now."""

    created: list[str] = Field(description="functions that did not exist before")
    versions: dict[str, str] = Field(description="function to the version its alias serves")
    alarms: list[str]
    fetched: dict[str, Any] = Field(description="what the fetcher answered")


class EnvironmentCreationError(Exception):
    """The environment stands, but its fetcher cannot bring prices into it."""


def create_environment(
    spec: EnvironmentSpec, variables: Mapping[str, str] | None = None
) -> EnvironmentReport:
    """The environment exists, is guarded and has prices; of released functions nothing is changed.

    `variables` are those of `LaptopState.environment()`; without them this process's are taken.
    Called again after a failure it goes on where that call ended.

    Raises:
        EnvironmentCreationError: the fetcher failed; calling again is right once its cause is gone.
    """
    clients = Clients(variables)
    _create_table(clients.client("dynamodb"), spec.name)
    created, aliases = create_functions(clients.client("lambda"), spec)
    if spec.function("api") in created:
        versions = {kind: alias["FunctionVersion"] for kind, alias in aliases.items()}
        put_first_record(clients.client("dynamodb"), spec, versions)
    _create_log_groups(clients.client("logs"), spec)
    _put_url(clients.client("ssm"), spec)
    _create_test_api_keys(clients, spec)
    events = clients.client("events")
    _put_schedule(events, spec, "fetcher", "rate(5 minutes)", aliases["fetcher"]["AliasArn"])
    guard, is_new = put_guard(clients.client("lambda"), spec)
    created += [spec.function(GUARD)] if is_new else []
    _put_schedule(events, spec, GUARD, "rate(1 minute)", guard)
    return EnvironmentReport(
        created=created,
        versions={spec.function(kind): aliases[kind]["FunctionVersion"] for kind in KINDS},
        alarms=_put_alarms(clients.client("cloudwatch"), spec),
        fetched=_fetch_prices(clients.client("lambda"), spec),
    )


def create_artifact_bucket(service: str, variables: Mapping[str, str] | None = None) -> str:
    """The bucket that holds the built zips exists; its name."""
    clients = Clients(variables)
    s3 = clients.client("s3")
    bucket = f"{service}-artifacts"
    with already_there("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
        )
    return bucket


def _create_table(dynamodb: Any, table: str) -> None:
    keys = {"PK": "HASH", "SK": "RANGE"}
    with already_there("ResourceInUseException"):
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        )
    dynamodb.get_waiter("table_exists").wait(TableName=table)
    with already_there("ValidationException"):  # it is enabled
        dynamodb.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
        )


def _create_log_groups(logs: Any, spec: EnvironmentSpec) -> None:
    for kind in (*KINDS, GUARD):
        with already_there("ResourceAlreadyExistsException"):
            logs.create_log_group(logGroupName=f"/aws/lambda/{spec.function(kind)}")


def _put_url(ssm: Any, spec: EnvironmentSpec) -> None:
    # Every time: the port may be another one than before.
    name = f"/{spec.service}/{spec.environment}/url"
    ssm.put_parameter(Name=name, Value=spec.url, Type="String", Overwrite=True)


def _create_test_api_keys(clients: Clients, spec: EnvironmentSpec) -> None:
    secrets_manager = clients.client("secretsmanager")
    name = f"{spec.service}/{spec.environment}/test-api-keys"
    with already_there("ResourceExistsException"):
        fresh = [new_key(spec.environment) for _ in range(_TEST_KEYS)]
        secrets_manager.create_secret(Name=name, SecretString=json.dumps(fresh))
    keys = json.loads(secrets_manager.get_secret_value(SecretId=name)["SecretString"])
    dynamodb, now = clients.client("dynamodb"), datetime.now(UTC)
    for number, key in enumerate(keys, start=1):
        with already_there("ConditionalCheckFailedException"):
            dynamodb.put_item(
                TableName=spec.name,
                Item=ApiKey.of(key, f"staging checks {number}", "laptop", now).to_item(),
                ConditionExpression="attribute_not_exists(PK)",
            )


def _put_schedule(events: Any, spec: EnvironmentSpec, kind: str, rate: str, arn: str) -> None:
    rule = f"{spec.function(kind)}-schedule"
    events.put_rule(Name=rule, ScheduleExpression=rate, State="ENABLED")
    events.put_targets(Rule=rule, Targets=[{"Id": ALIAS, "Arn": arn}])


def _put_alarms(cloudwatch: Any, spec: EnvironmentSpec) -> list[str]:
    alarms = rollback_alarms(
        service=spec.service,
        environment=spec.environment,
        api_function=spec.function("api"),
        alias=ALIAS,
        api_id=spec.name,
        period_seconds=spec.alarm_period_seconds,
    )
    for alarm in alarms:
        cloudwatch.put_metric_alarm(**alarm)
    return [alarm["AlarmName"] for alarm in alarms]


def _fetch_prices(lambda_: Any, spec: EnvironmentSpec) -> dict[str, Any]:
    answer = lambda_.invoke(FunctionName=spec.function("fetcher"), Qualifier=ALIAS, Payload=b"{}")
    payload = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise EnvironmentCreationError(f"{spec.function('fetcher')} failed: {payload}")
    fetched: dict[str, Any] = json.loads(payload) or {}
    return fetched

"""An environment of the service on the laptop: the stack of `infra/template.yaml`, and what an
account has beside it: keys for the checks, first prices.

The first version of the functions is the stack's; every later one is published by a promotion.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from infra.local.api_keys import create_api_keys
from infra.local.clients import Clients, already_there
from infra.local.environment_spec import ALIAS, GUARD, EnvironmentSpec
from infra.local.first_record import put_first_record
from infra.local.settings import Frozen
from infra.local.stack import StackError, deploy_stack, parameters_of
from infra.local.template import read_text, scheduled
from release.api_keys import ApiKey, new_key

_TEST_KEYS = 8  # as the checks of staging share them out: activities/staging.py

__all__ = [
    "EnvironmentReport",
    "EnvironmentSpec",
    "StackError",
    "create_api_keys",
    "create_environment",
]


class EnvironmentReport(Frozen):
    """An environment as it is now."""

    created: list[str] = Field(description="functions that did not exist before")
    versions: dict[str, str] = Field(description="function to the version its alias serves")
    alarms: list[str]
    ran: dict[str, Any] = Field(description="scheduled function to what its first run answered")


class EnvironmentCreationError(Exception):
    """The environment stands, but a function of its schedule failed."""


def create_environment(
    spec: EnvironmentSpec, variables: Mapping[str, str] | None = None
) -> EnvironmentReport:
    """The environment exists, is guarded, and what its schedule runs ran once.

    Of released functions nothing is changed.

    `variables` are those of `LaptopState.environment()`; without them this process's are taken.
    Called again after a failure it goes on where that call ended.

    Raises:
        EnvironmentCreationError: a scheduled function failed; calling again is right once its cause
            is gone.
    """
    clients, template = Clients(variables), read_text(spec.template)
    is_new = deploy_stack(clients.client("cloudformation"), spec)
    dynamodb, lambda_ = clients.client("dynamodb"), clients.client("lambda")
    _expire_items(dynamodb, spec.name)
    _put_url(clients.client("ssm"), spec)
    _create_test_api_keys(clients, spec)
    versions = {
        kind: lambda_.get_alias(FunctionName=spec.function(kind), Name=ALIAS)["FunctionVersion"]
        for kind in spec.functions
    }
    if is_new:
        put_first_record(dynamodb, spec, versions)
    return EnvironmentReport(
        created=[spec.function(kind) for kind in (*spec.functions, GUARD)] if is_new else [],
        versions={spec.function(kind): version for kind, version in versions.items()},
        alarms=_alarms(clients.client("cloudwatch"), spec),
        ran={name: _run(lambda_, name) for name in scheduled(template, parameters_of(spec))},
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


def _expire_items(dynamodb: Any, table: str) -> None:
    # the template says so too; ministack's CloudFormation leaves it out
    with already_there("ValidationException"):  # it is enabled
        dynamodb.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
        )


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


def _alarms(cloudwatch: Any, spec: EnvironmentSpec) -> list[str]:
    """The stack's, by their names."""
    prefix = f"{spec.service}-backend-{spec.environment}-"
    found = cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def _run(lambda_: Any, function: str) -> Any:
    answer = lambda_.invoke(FunctionName=function, Qualifier=ALIAS, Payload=b"{}")
    payload = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise EnvironmentCreationError(f"{function} failed: {payload}")
    return json.loads(payload)

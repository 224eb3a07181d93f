"""The deployment record of an environment's first version, which no promotion brought."""

from datetime import UTC, datetime
from typing import Any

from infra.local.clients import already_there
from infra.local.environment_spec import EnvironmentSpec
from release.deployment import Change, Deployment, DeploymentStatus, Pointer


def put_first_record(dynamodb: Any, spec: EnvironmentSpec, versions: dict[str, str]) -> None:
    """The first version is the active one; a record that is there already is left as it is."""
    now = datetime.now(UTC)
    first = Deployment(
        environment=spec.environment,
        version=spec.version,
        git_commit=spec.git_sha,
        deployed_at=now.replace(microsecond=0),
        deployed_by="laptop",
        status=DeploymentStatus.ACTIVE,
        artifacts={kind: spec.artifacts[kind] for kind in spec.functions},
        alias_versions=versions,
        changes=(Change(at=now, status=DeploymentStatus.ACTIVE),),
    )
    pointer = Pointer(version=spec.version, since=now, revision=1).to_item(spec.environment)
    puts: list[dict[str, Any]] = [
        {"Item": pointer, "ConditionExpression": "attribute_not_exists(PK)"},
        {"Item": first.to_item()},
    ]
    with already_there("TransactionCanceledException"):
        dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": spec.name} | put} for put in puts]
        )

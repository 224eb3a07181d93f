"""`starter.py history`: what an environment served, newest first, from its deployment record."""

import json
from datetime import UTC
from typing import Any

from activities.deployment_table import DeploymentTable
from cli import aws
from cli.errors import OK, CliError
from cli.promotions import commits
from release.deployment import Deployment
from release.policy import Policy

_HEAD = ("VERSION", "DEPLOYED", "COMMIT", "BY", "STATUS", "REASON")


def run(arguments: Any) -> int:
    """Print the record of one environment."""
    repository = commits()
    found = deployments(repository.policy(repository.resolve(repository.branch)), arguments.env)
    if arguments.json:
        print(json.dumps([one.model_dump(mode="json") for one in found]))
        return OK
    for line in _lines([_HEAD, *(_row(one) for one in found)] if found else []):
        print(line)
    if not found:
        print(f"{arguments.env} has no record yet: the first promotion that ends there makes one")
    return OK


def deployments(policy: Policy, environment: str) -> list[Deployment]:
    """The environment's record, newest first."""
    name = policy.table_name(environment)
    dynamodb = aws.client("dynamodb")
    with aws.asking(f"read the record in {name}"):
        try:
            return DeploymentTable(dynamodb, name, environment).all()
        except dynamodb.exceptions.ResourceNotFoundException:
            raise CliError(f"there is no table {name}; create the environment first") from None


def _row(one: Deployment) -> tuple[str, ...]:
    at = one.deployed_at
    when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "before the record"
    reason = " ".join(one.reason.split())
    return one.version, when, one.git_commit[:12], one.deployed_by or "-", one.status, reason


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(row).rstrip() for row in padded]

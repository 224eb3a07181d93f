"""Which version a commit is released under: its own, the one asked for, or the next free one."""

import sys
from collections.abc import Collection
from typing import Any

from temporalio.client import Client

from activities.deployment_table import DeploymentTable
from cli import aws
from cli.commits import Commits
from cli.errors import CliError, Unreachable
from cli.production import Live
from release.deployment import PRODUCTION
from release.policy import Policy
from release.version import free_version, parse, plain
from workflows.state import SHA, VERSION

Named = tuple[str, str]
"""A version and the commit that has it."""


def named(repository: Commits, policy: Policy, now: Live) -> list[Named]:
    """Every version that has a commit: by a tag, by production's record, or by running there.

    Without the record, which is said, the tags have to do: a release must not wait for DynamoDB.
    """
    found = repository.tags()
    try:
        found += _recorded(policy, aws.client("dynamodb"))
    except Unreachable as silence:
        print(f"warning: versions are known by their tags only: {silence}", file=sys.stderr)
    return [*found, (now.release, now.sha)]


def choose(
    repository: Commits, sha: str, known: Collection[Named], wanted: str | None = None
) -> str:
    """The version that the commit has already, or a free one.

    Raises:
        CliError: `wanted` cannot be: its form, not above the last tag, or somebody has it.
    """
    own = next((version for version, commit in known if commit == sha), None)
    if wanted is not None:
        return _checked(repository, sha, known, wanted, own)
    if own is not None:
        return own
    return free_version(repository.version(sha), [version for version, _ in known])


async def running(client: Client, service: str, but: str) -> list[Named]:
    """The versions of the running promotions of other commits."""
    query = f"WorkflowId STARTS_WITH 'promotion/{service}/' AND ExecutionStatus = 'Running'"
    found: list[Named] = []
    async for run in client.list_workflows(query):
        facts: dict[str, Any] = {p.key.name: p.value for p in run.typed_search_attributes}
        if facts.get(SHA.name, but) != but and VERSION.name in facts:
            found.append((facts[VERSION.name], facts[SHA.name]))
    return found


def holder(known: Collection[Named], version: str, but: str = "") -> str | None:
    """The other commit that has the version's number."""
    number = plain(version)
    return next((c for name, c in known if plain(name) == number and c != but), None)


def _recorded(policy: Policy, dynamodb: Any) -> list[Named]:
    table = policy.table_name(PRODUCTION)
    with aws.asking(f"list the versions in {table}"):
        try:
            found = DeploymentTable(dynamodb, table, PRODUCTION).all()
        except dynamodb.exceptions.ResourceNotFoundException:
            return []
    return [(one.version, one.git_commit) for one in found]


def _checked(
    repository: Commits, sha: str, known: Collection[Named], wanted: str, own: str | None
) -> str:
    version = wanted.removeprefix("v")
    try:
        number = parse(version)
    except ValueError:
        raise CliError(f"--version {wanted!r} is not of the form 1.2.3") from None
    if own is not None and plain(own) != version:
        raise CliError(f"{sha[:12]} has the version {own} already; leave out --version")
    other = holder(known, version, but=sha)
    if other is not None:
        raise CliError(f"--version {version} is taken: {other[:12]} has it")
    last = repository.last_tag(sha)
    if own is None and last is not None and number <= parse(last[1:]):
        raise CliError(f"--version {version} is not above the last tag, {last}")
    return own or version

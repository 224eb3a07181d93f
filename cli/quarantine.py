"""`starter.py quarantine`: what was rolled back and stays out of production; let it in again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activities.inputs import QuarantineCheckInput
from activities.quarantine import Quarantine
from activities.quarantine_table import QuarantineTable
from cli import aws
from cli.commits import Commits
from cli.errors import OK, CliError
from release.policy import Policy
from release.quarantine import SHORTEST_SHA, Entry, Released
from settings import Settings


def check(repository: Path, policy: Policy, sha: str) -> None:
    """Nothing quarantined is in the commit. Raises CliError with the promotion's own words."""
    with _table(policy) as (dynamodb, table):
        order = QuarantineCheckInput(table=table, sha=sha)
        text = Quarantine(dynamodb, repository).refusal(order)
    if text is not None:
        raise CliError(text)


def run(arguments: Any) -> int:
    """List the records, or release one."""
    settings = Settings.from_environment()
    repository = Commits(settings.repository, settings.branch)
    policy = repository.policy(repository.resolve(settings.branch))
    with _table(policy) as (dynamodb, name):
        table = QuarantineTable(dynamodb, name)
        if arguments.action == "release":
            return _release(table, repository, arguments)
        return _list(table.all(), as_json=arguments.json)


@contextmanager
def _table(policy: Policy) -> Iterator[tuple[Any, str]]:
    name = policy.table_name("prod")
    dynamodb = aws.client("dynamodb")
    with aws.asking(f"work on the quarantine in {name}"):
        try:
            yield dynamodb, name
        except dynamodb.exceptions.ResourceNotFoundException:
            raise CliError(f"there is no table {name}; create the environment first") from None


def _release(table: QuarantineTable, repository: Commits, arguments: Any) -> int:
    reason = arguments.reason.strip()
    if not reason:
        raise CliError("--reason is empty: say why the commit may go to production again")
    entry = _find(table.all(), repository, arguments.revision)
    released = Released(by=arguments.name, reason=reason, at=datetime.now(UTC))
    if entry.released is not None or not table.release(entry.sha, released):
        raise CliError(f"{entry.sha[:12]} is not quarantined any more{_by(entry)}")
    if arguments.json:
        print(json.dumps(_public(entry.model_copy(update={"released": released}))))
    else:
        print(f"{entry.sha[:12]} ({entry.version}) may go to production again")
    return OK


def _find(entries: list[Entry], repository: Commits, revision: str) -> Entry:
    """The record that a revision means; one that git lacks is known by its first characters."""
    prefix = revision.lower()
    if len(prefix) >= SHORTEST_SHA:
        found = [entry for entry in entries if entry.sha.startswith(prefix)]
        if len(found) == 1:
            return found[0]
    sha = repository.resolve(revision)
    for entry in entries:
        if entry.sha == sha:
            return entry
    raise CliError(f"{sha[:12]} was never quarantined; see `starter.py quarantine list`")


def _list(entries: list[Entry], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([_public(entry) for entry in entries]))
        return OK
    for entry in entries:
        state = "released" if entry.released else "quarantined"
        print(f"{entry.sha[:12]}  {state:<11}  {_time(entry.at)}  {entry.version}: {entry.reason}")
        if entry.released is not None:
            print(f"{'':>12}  {_by(entry).removeprefix(': ')}")
    if not entries:
        print("nothing is quarantined")
    return OK


def _by(entry: Entry) -> str:
    if entry.released is None:
        return ""
    return f": released {_time(entry.released.at)} by {entry.released.by}, {entry.released.reason}"


def _public(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"earlier"})


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

"""`starter.py keys`: make, list, disable, enable and rotate API keys in an environment's table."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from cli import aws, promotions
from cli.errors import OK, CliError, Refused
from release.api_keys import ITEM_PREFIX, ApiKey, looks_like_key, new_key
from release.policy import parse_duration

_LONGEST = timedelta(days=3650)
_LONGEST_NAME = 64
_GOOD = "enabled = :true AND (attribute_not_exists(expiresAt) OR expiresAt > :now)"


class KeyStore:
    """The API keys in one environment's table."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def all(self) -> list[ApiKey]:
        """Every key, oldest first. It reads the whole table: keys are few, and so is the rest."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="begins_with(PK, :key)",
            ExpressionAttributeValues={":key": {"S": ITEM_PREFIX}},
            ConsistentRead=True,
        )
        found = [ApiKey.from_item(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def create(self, key: ApiKey) -> None:
        """The key is good from now on."""
        self._dynamodb.put_item(
            TableName=self._table,
            Item=key.to_item(),
            ConditionExpression="attribute_not_exists(PK)",
        )

    def switch(self, key: ApiKey, *, enabled: bool, by: str, now: datetime) -> None:
        """The key is enabled or disabled; done twice it is as done once."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key=_key_of(key),
            UpdateExpression="SET enabled = :enabled, changedAt = :at, changedBy = :by",
            ConditionExpression="attribute_exists(PK)",
            ExpressionAttributeValues={
                ":enabled": {"BOOL": enabled},
                ":at": {"S": now.strftime("%Y-%m-%dT%H:%M:%SZ")},
                ":by": {"S": by},
            },
        )

    def replace(self, old: ApiKey, new: ApiKey, until: datetime, now: datetime) -> None:
        """The new key is good and the old one expires, or nothing changed.

        Raises Refused when the old key was replaced, disabled or expired meanwhile.
        """
        expire = {
            "TableName": self._table,
            "Key": _key_of(old),
            "UpdateExpression": "SET expiresAt = :until, replacedBy = :new",
            "ConditionExpression": f"{_GOOD} AND attribute_not_exists(replacedBy)",
            "ExpressionAttributeValues": {
                ":true": {"BOOL": True},
                ":now": {"N": str(int(now.timestamp()))},
                ":until": {"N": str(int(until.timestamp()))},
                ":new": {"S": new.id},
            },
        }
        put = {
            "TableName": self._table,
            "Item": new.to_item(),
            "ConditionExpression": "attribute_not_exists(PK)",
        }
        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Update": expire}, {"Put": put}])
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            raise Refused(
                f"{old.id} changed meanwhile; look with `starter.py keys list`"
            ) from error


def run(arguments: Any) -> int:
    """One action on the keys of one environment."""
    repository = promotions.commits()
    policy = repository.policy(repository.resolve(repository.branch))
    table = policy.table_name(arguments.environment)
    dynamodb = aws.client("dynamodb")
    with aws.asking(f"work on the keys in {table}"):
        try:
            return _ACTIONS[arguments.action](KeyStore(dynamodb, table), arguments)
        except dynamodb.exceptions.ResourceNotFoundException:
            raise CliError(f"there is no table {table}; create the environment first") from None


def _create(store: KeyStore, arguments: Any) -> int:
    name = _name(arguments.key_name)
    lifetime = _duration("--expires", arguments.expires) if arguments.expires else None
    now = _now()
    for key in store.all():
        if key.name == name and key.is_good(now):
            raise CliError(f"{name!r} has the key {key.id}; rotate it, or choose another name")
    secret = new_key(arguments.environment)
    key = ApiKey.of(secret, name, arguments.name, now, lifetime)
    store.create(key)
    return _show_once(secret, key, arguments)


def _list(store: KeyStore, arguments: Any) -> int:
    now = _now()
    keys = store.all()
    if arguments.json:
        print(json.dumps([_public(key, now) for key in keys]))
        return OK
    if not keys:
        print(f"no keys in {arguments.environment}; make one with `starter.py keys create NAME`")
        return OK
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for column in ("id", "name", "state", "key", "created", "by"):
        table.add_column(column, no_wrap=column != "name")
    for key in keys:
        state = f"{key.state(now)}, now {key.replaced_by}" if key.replaced_by else key.state(now)
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.id, key.name, state, key.masked, made, key.created_by)
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)
    return OK


def _switch(store: KeyStore, arguments: Any) -> int:
    enabled = arguments.action == "enable"
    now = _now()
    key = _find(store, arguments.key, now)
    if enabled and key.expires_at and key.expires_at <= now:
        raise CliError(f"{key.id} expired at {key.expires_at:%Y-%m-%d %H:%M} UTC; make a new one")
    store.switch(key, enabled=enabled, by=arguments.name, now=now)
    changed = key.model_copy(update={"enabled": enabled})
    if arguments.json:
        print(json.dumps(_public(changed, now)))
    else:
        print(f"{key.name} ({key.id}) is {changed.state(now)}")
    return OK


def _rotate(store: KeyStore, arguments: Any) -> int:
    grace = _duration("--grace", arguments.grace)
    lifetime = _duration("--expires", arguments.expires) if arguments.expires else None
    now = _now()
    old = _find(store, arguments.key, now)
    if not old.is_good(now) or old.replaced_by:
        why = f"replaced by {old.replaced_by}" if old.replaced_by else old.state(now)
        raise CliError(f"{old.id} is {why}; only a good key is rotated")
    until = min(now + grace, old.expires_at or now + grace)
    secret = new_key(arguments.environment)
    new = ApiKey.of(secret, old.name, arguments.name, now, lifetime)
    store.replace(old, new, until, now)
    return _show_once(secret, new, arguments, old.model_copy(update={"expires_at": until}))


_ACTIONS = {
    "create": _create,
    "list": _list,
    "disable": _switch,
    "enable": _switch,
    "rotate": _rotate,
}


def _find(store: KeyStore, wanted: str, now: datetime) -> ApiKey:
    """The one key of this id or name; a good one goes before those that are not."""
    if looks_like_key(wanted):
        raise CliError("that is a key, and now it is in your shell's history; name its id instead")
    named = [key for key in store.all() if key.name == wanted or _has_id(key, wanted)]
    found = [key for key in named if key.is_good(now)] or named
    if not found:
        raise CliError(f"no key {wanted!r}; see `starter.py keys list`")
    if len(found) > 1:
        several = ", ".join(f"{key.id} ({key.state(now)})" for key in found)
        raise CliError(f"{wanted!r} has several keys; name the id of one: {several}")
    return found[0]


def _has_id(key: ApiKey, wanted: str) -> bool:
    return len(wanted) >= 6 and key.id.startswith(wanted.lower())


def _name(text: str) -> str:
    name = text.strip()
    if looks_like_key(name):
        raise CliError("that is a key, and now it is in your shell's history; give a name instead")
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        raise CliError(f"a key's name has 1 to {_LONGEST_NAME} printable characters")
    return name


def _duration(option: str, text: str) -> timedelta:
    try:
        value = parse_duration(text, longest=_LONGEST)
    except ValueError as error:
        raise CliError(f"{option} {error}") from error
    if not isinstance(value, timedelta) or (option == "--expires" and not value):
        raise CliError(f"{option} {text}: write a number and s, m, h or d, as in 90d")
    return value


def _show_once(secret: str, key: ApiKey, arguments: Any, old: ApiKey | None = None) -> int:
    now = _now()
    if arguments.json:
        shown = {"key": secret, **_public(key, now)}
        print(json.dumps(shown | ({"replaces": _public(old, now)} if old else {})))
        return OK
    print(f"key          {secret}")
    print(f"id           {key.id}")
    print(f"name         {key.name}")
    print(f"environment  {arguments.environment}")
    print(f"state        {key.state(now)}")
    if old:
        print(f"old key      {old.id} ({old.masked}) is {old.state(now)}")
    print("\nThe key is shown this once: only its hash is stored. Keep it where secrets are kept.")
    return OK


def _public(key: ApiKey, now: datetime) -> dict[str, Any]:
    """What programs are told of a key; nothing of it lets anybody in."""
    known: dict[str, Any] = key.model_dump(mode="json", exclude={"digest"})
    return {"id": key.id, **known, "state": key.state(now)}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)  # the table keeps whole seconds


def _key_of(key: ApiKey) -> dict[str, Any]:
    return {name: key.to_item()[name] for name in ("PK", "SK")}

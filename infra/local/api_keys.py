"""API keys of the price service on the laptop: random, and only a hash of one in the table."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.clients import Clients

_BATCH = 25  # the most that one BatchWriteItem takes (DynamoDB API reference)


def create_api_keys(
    service: str,
    environment: str,
    names: list[str],
    variables: Mapping[str, str] | None = None,
) -> list[str]:
    """A new, enabled key for each name, in their order; called again it makes others."""
    table = f"{service}-{environment}"
    keys = [new_api_key() for _ in names]
    writes = [
        {"PutRequest": {"Item": api_key_item(key, name)}}
        for key, name in zip(keys, names, strict=True)
    ]
    dynamodb = Clients(variables).client("dynamodb")
    for first in range(0, len(writes), _BATCH):
        pending = {table: writes[first : first + _BATCH]}
        while pending:
            pending = dynamodb.batch_write_item(RequestItems=pending)["UnprocessedItems"]
    return keys


def new_api_key() -> str:
    """A key nobody can guess: 192 random bits after the prefix of test keys."""
    return f"cw_test_{secrets.token_urlsafe(24)}"


def api_key_item(key: str, name: str) -> dict[str, Any]:
    """The table's item for a key, from which the key cannot be had back."""
    return {
        "PK": {"S": f"APIKEY#{hashlib.sha256(key.encode()).hexdigest()}"},
        "SK": {"S": "METADATA"},
        "name": {"S": name},
        "enabled": {"BOOL": True},
        "createdAt": {"S": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
    }

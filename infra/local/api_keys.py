"""API keys of the laptop's own clients: the integration tests and the demo's consumers."""

from collections.abc import Mapping
from datetime import UTC, datetime

from infra.local.clients import Clients
from release.api_keys import ApiKey, new_key

_BATCH = 25  # the most that one BatchWriteItem takes (DynamoDB API reference)


def create_api_keys(
    service: str,
    environment: str,
    names: list[str],
    variables: Mapping[str, str] | None = None,
) -> list[str]:
    """A new, enabled key for each name, in their order; called again it makes others."""
    table = f"{service}-{environment}"
    keys = [new_key(environment) for _ in names]
    now = datetime.now(UTC)
    writes = [
        {"PutRequest": {"Item": ApiKey.of(key, name, "laptop", now).to_item()}}
        for key, name in zip(keys, names, strict=True)
    ]
    dynamodb = Clients(variables).client("dynamodb")
    for first in range(0, len(writes), _BATCH):
        pending = {table: writes[first : first + _BATCH]}
        while pending:
            pending = dynamodb.batch_write_item(RequestItems=pending)["UnprocessedItems"]
    return keys

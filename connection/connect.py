"""The arguments of `Client.connect`: which server, and how values travel there."""

from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from connection.converter import data_converter
from connection.errors import ProfileError
from settings import TemporalSettings, connect_to_temporal_config


def client_options(settings: TemporalSettings) -> dict[str, Any]:
    """The same for every process of ours, or one could not read what another wrote.

    Raises:
        SettingsError: there is no such connection profile, or no key for the payloads.
    """
    try:
        config = connect_to_temporal_config()
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())  # a TOML error has several lines
        raise ProfileError(f"the connection profile of Temporal: {text}") from error
    return {**config, "data_converter": data_converter(settings)}


async def enter_namespace(client: Client) -> None:
    """The namespace is there, and lets this process in.

    Raises:
        RPCError: it is not, or does not. A worker would start, and say so much later.
    """
    await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), timeout=timedelta(seconds=15)
    )

"""The arguments of `Client.connect`: which server, and how values travel there."""

from typing import Any

from connection.converter import data_converter
from settings import TemporalSettings, connect_to_temporal_config


def client_options(settings: TemporalSettings) -> dict[str, Any]:
    """The same for every process of ours, or one could not read what another wrote.

    Raises:
        KeyringError: payloads are to be encrypted, and there are no keys.
        ConfigError: there is no such connection profile.
    """
    return {**connect_to_temporal_config(), "data_converter": data_converter(settings)}

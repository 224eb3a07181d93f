"""How values become payloads: the same for worker, command line and codec server."""

from dataclasses import replace

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes

from settings import TemporalSettings


def data_converter(settings: TemporalSettings) -> DataConverter:
    """Plain JSON; encrypted, if the settings name a secret with keys.

    Raises:
        KeyringError: the secret cannot be read, or holds no keys.
    """
    if not settings.payload_key_secret:
        return pydantic_data_converter
    from connection.codec import EncryptionCodec
    from connection.keys import keyring_of

    return replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(lambda: keyring_of(settings.payload_key_secret)),
        # the messages of errors are payloads then, too
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )

"""Payloads that Temporal's server cannot read: AES-256-GCM, with the key's id beside the data."""

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from connection.errors import KeyringError

ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
_KEY_BYTES = 32
_NONCE_BYTES = 12  # random: 2^32 payloads under one key before a repetition is worth a thought


class Keyring(BaseModel):
    """Every key that payloads may still be encrypted with, and the one that encrypts new ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    current: str
    keys: dict[str, str]

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, keys: dict[str, str]) -> dict[str, str]:
        for key_id, key in keys.items():
            try:
                length = len(base64.b64decode(key, validate=True))
            except binascii.Error:
                length = 0
            if length != _KEY_BYTES:
                raise ValueError(f"the key {key_id} is not base64 of {_KEY_BYTES} bytes")
        return keys

    @model_validator(mode="after")
    def _has_current(self) -> Self:
        if self.current not in self.keys:
            raise ValueError(f"the current key {self.current} is none of keys")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """The keyring that a secret's text holds; an error says nothing of the keys themselves.

        Raises:
            KeyringError: it is none.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(one["msg"] for one in error.errors(include_input=False))
            raise KeyringError(
                f'no payload keys, as {{"current": "…", "keys": {{"…": "…"}}}}: {reasons}'
            ) from None

    def with_new(self, key_id: str) -> Self:
        """A new key encrypts from now on; what the others encrypted is still read."""
        if key_id in self.keys:
            raise KeyringError(f"there is a key {key_id} already")
        return type(self)(current=key_id, keys={**self.keys, key_id: new_key()})

    def key(self, key_id: str) -> bytes | None:
        """The key itself; None if there is none of that id."""
        text = self.keys.get(key_id)
        return None if text is None else base64.b64decode(text)


def new_key() -> str:
    """A key, as it stands in a keyring."""
    return base64.b64encode(AESGCM.generate_key(8 * _KEY_BYTES)).decode()


class EncryptionCodec(PayloadCodec):
    """Encrypts with the current key, reads with every key.

    What is not encrypted passes as it is: messages from the Temporal UI, and whatever was
    recorded before there were keys.
    """

    def __init__(self, read: Callable[[], Keyring]) -> None:
        """`read` is called once here, and again when a payload names a key that is unknown."""
        self._read = read
        self._keyring = read()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each one encrypted, with its metadata."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each one as it was before `encode`.

        Raises:
            KeyringError: its key is not in the keyring, or it was changed since.
        """
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        key_id, nonce = self._keyring.current, os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self._key(key_id))
        sealed = nonce + cipher.encrypt(nonce, payload.SerializeToString(), key_id.encode())
        return Payload(metadata={"encoding": ENCODING, _KEY_ID: key_id.encode()}, data=sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"").decode(errors="replace")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            plain = AESGCM(self._key(key_id)).decrypt(nonce, sealed, key_id.encode())
        except (InvalidTag, ValueError):
            raise KeyringError(f"a payload of the key {key_id} was changed or cut off") from None
        return Payload.FromString(plain)

    def _key(self, key_id: str) -> bytes:
        key = self._keyring.key(key_id)
        if key is None:  # made since this process started
            self._keyring = self._read()
            key = self._keyring.key(key_id)
        if key is None:
            raise KeyringError(f"the payload key {key_id!r} is not in the keyring")
        return key

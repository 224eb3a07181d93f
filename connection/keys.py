"""The payload keys in Secrets Manager.

`python -m connection.keys ID` prints a keyring with a new key, added to the keyring on its
standard input if there is one.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from activities.secrets import read_secret
from connection.codec import Keyring, new_key
from connection.errors import KeyringError

# the event loop waits meanwhile: once at the start, and when a key is new
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2})


def keyring_of(secret: str) -> Keyring:
    """The keys that the secret holds.

    Raises:
        KeyringError: it cannot be read, or holds none.
    """
    try:
        text = read_secret(boto3.client("secretsmanager", config=_CONFIG), secret)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise KeyringError(f"the payload keys in the secret {secret}: {error}") from error
    if text is None:
        raise KeyringError(f"there is no secret {secret}: make it as docs/temporal.md says")
    try:
        return Keyring.parse(text)
    except KeyringError as error:
        raise KeyringError(f"the secret {secret} holds {error}") from error


def main(key_id: str, old: str) -> None:
    """The keyring is printed, for `aws secretsmanager put-secret-value`."""
    fresh = Keyring(current=key_id, keys={key_id: new_key()})
    print((Keyring.parse(old).with_new(key_id) if old.strip() else fresh).model_dump_json())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m connection.keys ID [< keyring.json]")
    try:
        main(sys.argv[1], "" if sys.stdin.isatty() else sys.stdin.read())
    except KeyringError as error:
        sys.exit(f"error: {error}")

"""boto3 clients of the laptop cloud, from the variables that say where it answers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
)


class Clients:
    """Makes clients from `LaptopState.environment()`, or from this process's environment."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        # A session of its own: the default session must not be shared between threads.
        self._session = boto3.session.Session(
            aws_access_key_id=self._variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self._variables["AWS_REGION"],
        )

    def client(self, service: str) -> Any:
        """A client for the service.

        Raises:
            KeyError: no endpoint is given. Without this a setup meant for the laptop would
                go to a real account.
        """
        special = f"AWS_ENDPOINT_URL_{service.upper()}"
        endpoint = self._variables.get(special) or self._variables["AWS_ENDPOINT_URL"]
        return self._session.client(service, endpoint_url=endpoint, config=_CONFIG)


@contextmanager
def already_there(*codes: str) -> Iterator[None]:
    """An answer with one of these error codes is as good as success."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise

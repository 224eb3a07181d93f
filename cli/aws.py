"""AWS as the CLI uses it: clients that answer a person soon, and AWS's errors in their words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from activities.aws_faults import fault_of
from cli.errors import Unreachable


def client(service: str, retries: int = 2) -> Any:
    """A client that answers a person soon, or says that it cannot."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": retries})
    try:
        return boto3.client(service, config=config)
    except (BotoCoreError, ValueError) as error:  # a region that is empty is a ValueError
        raise Unreachable(
            f"AWS cannot be asked: {str(error).rstrip('.')}. Set AWS_REGION and a profile or role; "
            "on a laptop start it with `starter.py up`"
        ) from error


@contextmanager
def asking(what: str) -> Iterator[None]:
    """What AWS refuses, or does not answer, becomes one clear line; `what` is a verb phrase."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unreachable(told(error, what)) from error


def told(error: ClientError | BotoCoreError, what: str) -> str:
    """What is wrong and what to do, in one line."""
    fault = fault_of(error)
    if fault is not None:
        return f"{fault.kind}: {fault.text} (asked to {what})"
    said = " ".join(str(error).split())
    if "NotFound" in said or "NoSuch" in said:
        return f"AWS cannot {what} {region()}: {said}"
    return f"AWS refused to {what}: {said}"


def region() -> str:
    """Where things were looked for: what is in another region or account is not there."""
    name = boto3.Session().region_name
    return f"in {name} (is AWS_REGION the right one, and the account?)"

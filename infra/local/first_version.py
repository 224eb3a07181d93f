"""The functions of an environment, each with a first version that its alias serves."""

from typing import Any

from pydantic import Field

from infra.local.clients import already_there
from infra.local.settings import Frozen

ALIAS = "live"
KINDS = ("api", "fetcher")
_TIMEOUT_SECONDS = 25  # the fetcher's: a slow feed with its retries; the API shares it
_MEMORY_MB = 256


class EnvironmentSpec(Frozen):
    """An environment as it should be when it is new."""

    service: str
    environment: str
    url: str
    artifacts: dict[str, str] = Field(
        description="`api`, `fetcher` and `guard` to the zip's SHA-256 in hex; the first two are"
        " needed only where the function is missing"
    )
    version: str
    git_sha: str
    rate_limit: int = Field(description="requests a minute and key")
    alarm_period_seconds: int
    symbols: list[str]

    @property
    def name(self) -> str:
        """The table's name, and the API's id."""
        return f"{self.service}-{self.environment}"

    def function(self, kind: str) -> str:
        """The name of the `api`, the `fetcher` or the `guard` function."""
        return f"{self.service}-{kind}-{self.environment}"


def create_functions(
    lambda_: Any, spec: EnvironmentSpec
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The functions that were made now, and the alias of the `api` and of the `fetcher`."""
    bucket = f"{spec.service}-artifacts"
    created = []
    aliases = {}
    for kind in KINDS:
        function = spec.function(kind)
        alias = _alias(lambda_, function)
        if alias is None:  # after a restart it is there, and the artifacts need not be built
            with already_there("ResourceConflictException"):
                lambda_.create_function(**_function(spec, kind, bucket))
                created.append(function)
            alias = _first_alias(lambda_, function, f"{spec.version} {spec.git_sha}")
        aliases[kind] = alias
    return created, aliases


def _function(spec: EnvironmentSpec, kind: str, bucket: str) -> dict[str, Any]:
    variables = {
        "ENVIRONMENT": spec.environment,
        "TABLE_NAME": spec.name,
        "RELEASE_VERSION": spec.version,
        "GIT_SHA": spec.git_sha,
        "RATE_LIMIT_PER_MINUTE": str(spec.rate_limit),
    }
    if kind == "fetcher":
        variables["SYMBOLS"] = ",".join(spec.symbols)
    return {
        "FunctionName": spec.function(kind),
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Role": f"arn:aws:iam::000000000000:role/{spec.function(kind)}",
        "Code": {"S3Bucket": bucket, "S3Key": f"lambda/{spec.artifacts[kind]}.zip"},
        "Timeout": _TIMEOUT_SECONDS,
        "MemorySize": _MEMORY_MB,
        "Environment": {"Variables": variables},
    }


def _alias(lambda_: Any, function: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    with already_there("ResourceNotFoundException"):
        found = lambda_.get_alias(FunctionName=function, Name=ALIAS)
    return found


def _first_alias(lambda_: Any, function: str, description: str) -> dict[str, Any]:
    """The alias, made on a first version."""
    lambda_.get_waiter("function_active_v2").wait(
        FunctionName=function, WaiterConfig={"Delay": 0.2, "MaxAttempts": 150}
    )
    version = lambda_.publish_version(FunctionName=function, Description=description)["Version"]
    made: dict[str, Any] = lambda_.create_alias(
        FunctionName=function, Name=ALIAS, FunctionVersion=version
    )
    return made

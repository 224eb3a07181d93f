"""What the data plane knows of a function, and the errors it answers in Lambda's own words."""

import random
import re
from dataclasses import dataclass, field
from typing import Any

LATEST = "$LATEST"
# Name, partial ARN (account:function:name) or full ARN, each with an optional qualifier.
_REFERENCE = re.compile(
    r"(?:(?:arn:[\w-]+:lambda:[\w-]+:)?\d{12}:)?(?:function:)?"
    r"(?P<name>[A-Za-z0-9_-]+)(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]+))?"
)


class LambdaError(Exception):
    """An answer other than 2xx of the Lambda API: HTTP status, exception name, message."""

    def __init__(self, status: int, code: str, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason


def not_found(what: str) -> LambdaError:
    """The error for a function, version or alias that does not exist."""
    return LambdaError(404, "ResourceNotFoundException", f"Function not found: {what}")


def invalid(message: str) -> LambdaError:
    """The error for a parameter that Lambda refuses."""
    return LambdaError(400, "InvalidParameterValueException", message)


@dataclass(frozen=True)
class FunctionVersion:
    """One version's frozen configuration; `$LATEST` is a new object after each change."""

    function: str
    version: str
    arn: str  # of the function, without a qualifier
    code_sha256: str  # base64, as Lambda gives it
    revision: str
    handler: str
    runtime: str
    timeout_seconds: float
    memory_mb: int
    log_group: str
    variables: dict[str, str] = field(hash=False)

    @classmethod
    def from_api(cls, document: dict[str, Any]) -> "FunctionVersion":
        """What GetFunctionConfiguration says, read."""
        name = document["FunctionName"]
        logging = document.get("LoggingConfig") or {}
        return cls(
            function=name,
            version=document["Version"],
            arn=":".join(document["FunctionArn"].split(":")[:7]),
            code_sha256=document["CodeSha256"],
            revision=document.get("RevisionId", ""),
            handler=document["Handler"],
            runtime=document["Runtime"],
            timeout_seconds=float(document["Timeout"]),
            memory_mb=document["MemorySize"],
            log_group=logging.get("LogGroup") or f"/aws/lambda/{name}",
            variables=dict((document.get("Environment") or {}).get("Variables") or {}),
        )


@dataclass(frozen=True)
class Alias:
    """Where an alias sends invocations: a version, and a share of them elsewhere."""

    version: str
    weights: tuple[tuple[str, float], ...] = ()  # additional versions, fractions of 1

    @classmethod
    def from_api(cls, document: dict[str, Any]) -> "Alias":
        """What GetAlias says, read."""
        weights = (document.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return cls(document["FunctionVersion"], tuple(weights.items()))

    def pick(self) -> str:
        """A version, by chance: each additional one with its weight, else the primary."""
        # a share of traffic, not a secret
        draw = random.random()  # noqa: S311 # nosec B311
        for version, weight in self.weights:
            if draw < weight:
                return version
            draw -= weight
        return self.version


def parse_reference(reference: str, qualifier: str | None) -> tuple[str, str | None]:
    """The function's name and the qualifier, which may stand in either place.

    Raises:
        LambdaError: the reference is no function name or ARN, or the two qualifiers differ.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise LambdaError(400, "ValidationException", f"Invalid function name: {reference}")
    inside = match["qualifier"]
    if inside and qualifier and inside != qualifier:
        raise invalid("The derived qualifier from the function name does not match the qualifier")
    return match["name"], inside or qualifier

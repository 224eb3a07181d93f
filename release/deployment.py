"""The values of the deployment record: what an environment served, from when, and how it ended."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel

from release.message import Message

PRODUCTION, STAGING = "prod", "staging"
_NEVER = datetime.min.replace(tzinfo=UTC)


class DeploymentStatus(StrEnum):
    """What became of a version; one in an environment is active."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"


class Change(Message):
    """What a version was told to be, from when on, and why: active or rolled back."""

    at: AwareDatetime
    status: DeploymentStatus
    reason: str = ""


class Rung(Message):
    """One rung of the ramp as it was climbed."""

    weight: float
    at: AwareDatetime
    verdict: str = ""


class Deployment(Message):
    """One version in one environment; a field that is empty is not known, and not in the item."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    environment: str
    version: str
    git_commit: str
    deployed_at: AwareDatetime | None = Field(
        None, description="when it began to serve, or first met users; None: before the record"
    )
    deployed_by: str = ""
    status: DeploymentStatus
    reason: str = Field("", description="of the status")
    outcome: str = Field("", description="of its promotion")
    promotion: str = Field("", description="workflow id; empty where no promotion told of it")
    promotion_run: str = ""
    approvers: tuple[str, ...] = ()
    artifacts: dict[str, str] = Field({}, description="function → SHA-256 of its zip")
    alias_versions: dict[str, str] = Field({}, description="function → its Lambda version")
    ramp: tuple[Rung, ...] = ()
    changes: tuple[Change, ...] = Field((), description="every one that was told, oldest first")

    def to_item(self) -> dict[str, Any]:
        """The table's item, in DynamoDB's JSON."""
        facts = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        fields = {name: _attribute(v) for name, v in facts.items() if name != "environment"}
        return key(self.environment, self.version) | fields

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """The record of a table's item; fields that are not ours are passed over."""
        ours = {to_camel(name) for name in cls.model_fields}
        facts = {name: _plain(value) for name, value in item.items() if name in ours}
        environment = item["PK"]["S"].removeprefix(partition(""))
        return cls.model_validate(facts | {"environment": environment})


class Pointer(Message):
    """Which version is active; each write raises the revision: writers cannot pass each other."""

    version: str = ""
    since: AwareDatetime = _NEVER
    revision: int = 0

    def to_item(self, environment: str) -> dict[str, Any]:
        """The table's item, in DynamoDB's JSON."""
        return pointer_key(environment) | {
            "version": {"S": self.version},
            "since": {"S": self.since.isoformat()},
            "revision": {"N": str(self.revision)},
        }

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """The pointer of a table's item."""
        return cls(
            version=item["version"]["S"],
            since=datetime.fromisoformat(item["since"]["S"]),
            revision=int(item["revision"]["N"]),
        )


def partition(environment: str) -> str:
    """Where an environment's versions stand."""
    return f"DEPLOYMENT#{environment}"


def key(environment: str, version: str) -> dict[str, Any]:
    """The key of a version's item."""
    return {"PK": {"S": partition(environment)}, "SK": {"S": f"VERSION#{version}"}}


def pointer_key(environment: str) -> dict[str, Any]:
    """The key of the pointer; not in the partition that lists the versions."""
    return {"PK": {"S": "ACTIVE"}, "SK": {"S": environment}}


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"M": {name: _attribute(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"L": [_attribute(inner) for inner in value]}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _plain(value: dict[str, Any]) -> Any:
    [(kind, inner)] = value.items()
    if kind == "M":
        return {name: _plain(known) for name, known in inner.items()}
    if kind == "L":
        return [_plain(known) for known in inner]
    return inner

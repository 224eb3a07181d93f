"""What the activities are asked, and what they answer: the values between workflow and effect."""

from datetime import datetime, timedelta

from pydantic import Field

from release.checklist import Limits
from release.message import Message
from release.policy import Checklist, Ci, Shift
from release.promotion import AliasState


class BuildInput(Message):
    """Build every function of one commit."""

    sha: str
    bucket: str
    sources: dict[str, str] = Field(description="function -> its folder in the repository")


class PublishInput(Message):
    """Publish a version of one function from an artifact that lies in S3."""

    function: str = Field(description="the Lambda function's full name")
    bucket: str
    sha256: str
    release_version: str
    git_sha: str


class AliasInput(Message):
    """One function's alias."""

    function: str
    alias: str


class ShiftInput(Message):
    """Send `weight` of the alias's traffic to `canary`, the rest to `baseline`."""

    baseline: str
    canary: str
    weight: float = Field(ge=0, le=1)
    expected: AliasState = Field(description="the alias as our last write left it")


class RollbackInput(Message):
    """Put all traffic of one alias back on the baseline."""

    function: str
    alias: str
    baseline: str
    canary: str | None = Field(None, description="the only other version that may be overwritten")


class AlarmsInput(Message):
    """The alarms of one environment, and the release's own on the canary's version."""

    service: str
    environment: str
    function: str
    canary: str
    period_seconds: int


class WatchInput(Message):
    """Watch one step of the ladder until it is judged."""

    service: str
    environment: str
    function: str
    alias: str
    baseline: str
    canary: str
    since: datetime
    min_duration: timedelta
    shift: Shift
    preexisting_alarms: tuple[str, ...]
    period_seconds: int
    poll_seconds: float


class StagingInput(Message):
    """Check the commit as it runs in staging."""

    service: str
    environment: str
    sha: str
    checklist: Checklist


class ChecksInput(Message):
    """Measure the named checks of the commit as it runs in staging."""

    service: str
    environment: str
    sha: str
    version: str
    checks: tuple[str, ...] = Field(description="names of the checks to measure, in order")
    functions: dict[str, str] = Field(description="function → its full name in the environment")
    api: str = Field(description="the function behind the HTTP API, a key of `functions`")
    alias: str
    table: str
    limits: Limits
    alarm_period_seconds: int


class ProjectChecksInput(Message):
    """Read, or run, what the project itself says of the commit."""

    sha: str
    checks: tuple[str, ...] = Field(description="tests, coverage, lint, types, security-scan, …")
    ci: Ci
    coverage_percent: int

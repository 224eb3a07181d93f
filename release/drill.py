"""The rollback drill: a rollback for real, on purpose, so that its time is a measured figure."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from release.message import Message
from release.policy import Drill, Policy
from release.text import duration

WEIGHT = 0.05
"""What the no-op version gets: it answers as the old one does."""

NOOP = "rollback drill"
"""A no-op version's description begins so: it is no release, and nobody rolls back to it."""


class DrillOutcome(StrEnum):
    """The search attribute `ReleaseOutcome` of a drill; a refused one has measured nothing."""

    PASSED = "drill passed"
    FAILED = "drill failed"
    REFUSED = "drill refused"


class DrillRequest(Message):
    """Drill the rollback of one environment's API; all that a drill decides by stands in it."""

    service: str
    environment: str = Field(pattern="^(staging|prod)$")
    function: str = Field(description="the Lambda function's full name")
    alias: str
    bucket: str = Field(description="where the artifacts lie")
    max_seconds: int = Field(gt=0, description="from alarm to 100 % baseline; not compressed")
    clock_factor: float = Field(1, ge=1)
    requested_by: str

    @property
    def workflow_id(self) -> str:
        """One drill at a time in an environment; also the id of its schedule."""
        return f"{drill_prefix(self.service)}{self.environment}"


class DrillResult(Message):
    """How a drill ended; one that could not be measured has no seconds, and is not passed."""

    environment: str
    at: AwareDatetime = Field(description="when it began")
    baseline: str = Field("", description="the version that got all traffic back")
    seconds: float | None = Field(None, description="from the alarm to 100 % baseline")
    passed: bool = False
    reason: str


def drill_request(
    policy: Policy, environment: str, requested_by: str, clock_factor: float
) -> DrillRequest:
    """The drill of an environment under a service's policy."""
    return DrillRequest(
        service=policy.service,
        environment=environment,
        function=policy.function_name(policy.api, environment),
        alias=policy.alias,
        bucket=policy.artifact_bucket,
        max_seconds=policy.drill.max_seconds,
        clock_factor=clock_factor,
        requested_by=requested_by,
    )


def drill_prefix(service: str) -> str:
    """What the id of every drill of the service begins with."""
    return f"drill/{service}/"


def drilled_environment(service: str, workflow_id: str) -> str:
    """The environment of a drill; a schedule puts its time behind the id."""
    return workflow_id.removeprefix(drill_prefix(service)).partition("-")[0]


def counts_for(wanted: str, environment: str) -> bool:
    """Whether a drill there is one for a policy that wants `wanted`: production is never less."""
    return environment in (wanted, "prod")


def judge_drill(
    request: DrillRequest, at: datetime, baseline: str, taken: timedelta
) -> DrillResult:
    """The result of a drill that was measured; exactly the limit is still passed."""
    seconds = round(taken.total_seconds(), 3)
    passed = seconds <= request.max_seconds
    words = f"{_seconds(seconds)} from alarm to 100 % baseline"
    return DrillResult(
        environment=request.environment,
        at=at,
        baseline=baseline,
        seconds=seconds,
        passed=passed,
        reason=words if passed else f"{words}, {request.max_seconds} s are allowed",
    )


def last_drill_text(last: DrillResult | None, now: datetime, policy: Drill) -> str:
    """The last drill in one line, for the approvers; empty: never."""
    if last is None:
        return ""
    ago = _ago(now - last.at)
    stale = " (stale)" if now - last.at > policy.stale_after else ""
    verdict = f"{last.reason}, passed" if last.passed else f"not passed, {last.reason}"
    return f"{ago} ago{stale} in {last.environment}: {verdict}"


def drill_objection(last: DrillResult | None, now: datetime, policy: Drill) -> str:
    """Why the last drill does not prove the rollback, and what to do; empty when it does."""
    to_do = f"run `starter.py drill --environment {policy.environment}`, then promote again"
    if last is None:
        return f"no rollback drill was ever run: {to_do}"
    if not last.passed:
        return f"the last rollback drill did not pass ({last.reason}): see to it, {to_do}"
    if now - last.at > policy.stale_after:
        longest = _ago(policy.stale_after)
        return f"the last rollback drill is {_ago(now - last.at)} old, over {longest}: {to_do}"
    return ""


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _ago(time: timedelta) -> str:
    """The largest unit alone, rounded down; days from two on."""
    if time >= timedelta(days=2):
        return f"{time.days} d"
    for unit, name in ((timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if time >= unit:
            return f"{time // unit} {name}"
    return duration(timedelta(seconds=max(0, round(time.total_seconds())))) or "0 s"

"""The policy of a service, `release.toml`: read once at the promoted sha, then frozen.

A mistake in it is one clear line before anything starts.
"""

import tomllib
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from release.message import Message

_LONGEST = timedelta(days=30)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class PolicyError(ValueError):
    """`release.toml` cannot be used as it is; the text says what to change."""


def parse_duration(value: object, longest: timedelta = _LONGEST) -> object:
    """ "90s", "5m", "24h" or "1d" as a timedelta; anything else is left to pydantic."""
    if (
        isinstance(value, str)
        and value.isascii()
        and value[:-1].isdigit()
        and value[-1] in _UNIT_SECONDS
    ):
        seconds = int(value[:-1]) * _UNIT_SECONDS[value[-1]]
        if seconds > longest.total_seconds():
            raise ValueError(f"{value} is longer than {longest.days} days")
        return timedelta(seconds=seconds)
    return value


Duration = Annotated[
    timedelta, BeforeValidator(lambda value: parse_duration(value)), Field(ge=timedelta(0))
]


class Function(Message):
    """One Lambda of the release; every environment has it as `<service>-<name>-<environment>`."""

    source: str = Field(description="folder of the repository that becomes the zip")


class ShiftStep(Message):
    """One rung of the traffic ladder."""

    canary_weight: float = Field(gt=0, le=1, description="fraction of requests sent to the canary")
    min_duration: Duration = timedelta(minutes=1)


class LowTraffic(StrEnum):
    """What happens when a rung has waited its longest and still too few requests were judged."""

    PROCEED = "proceed"
    ROLL_BACK = "roll_back"


class Shift(Message):
    """How traffic moves: the flow's default is 10 % a minute."""

    steps: tuple[ShiftStep, ...] = Field(min_length=1)
    min_requests: int = Field(20, ge=0, description="canary requests to judge before the next rung")
    max_wait: Duration = Field(timedelta(minutes=10), description="longest wait for min_requests")
    low_traffic: LowTraffic = LowTraffic.PROCEED
    max_error_rate: float = Field(0.05, gt=0, lt=1, description="canary's failures, fraction of 1")
    min_failures: int = Field(3, ge=1, description="fewer failures than this decide nothing")
    max_blind: Duration = Field(
        timedelta(minutes=5), description="longest time without a measurement before rolling back"
    )
    bake: Duration = Field(timedelta(minutes=5), description="watched this long at 100 %")

    @model_validator(mode="after")
    def _climbs_to_the_top(self) -> Self:
        weights = [step.canary_weight for step in self.steps]
        if weights != sorted(set(weights)) or weights[-1] != 1:
            raise ValueError("the weights of [[shift.steps]] must grow and end at 1.0")
        return self


class Approval(Message):
    """Who may let a release into production, and for how long the question stands."""

    approvers: dict[str, tuple[str, ...]] = Field(min_length=1, description="role -> names")
    timeout: Duration = timedelta(hours=24)

    def role_of(self, name: str) -> str | None:
        """The first role that names this person, or None."""
        return next((role for role, names in self.approvers.items() if name in names), None)


class ManualItem(Message):
    """A question that only a person can answer."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    text: str
    roles: tuple[str, ...] = Field(min_length=1, description="roles that may sign it off")


class Checklist(Message):
    """What has to be true of staging before anyone is asked for production."""

    manual: tuple[ManualItem, ...] = ()
    timeout: Duration = timedelta(hours=24)
    max_price_p99_ms: int = Field(2000, gt=0)
    max_health_p99_ms: int = Field(500, gt=0)
    latency_requests: int = Field(20, ge=1, description="requests behind each p99")


class Ci(Message):
    """Where the results of the project's own checks come from.

    With a repository, from GitHub's check runs of the commit; without one, the worker runs the
    commands on a clean checkout of it.
    """

    repository: str = Field("", pattern=r"^([\w.-]+/[\w.-]+)?$", description="GitHub's owner/name")
    check_runs: dict[str, str] = Field({}, description="check → the name of GitHub's check run")
    commands: dict[str, str] = Field({}, description="check → the command that passes or fails it")
    timeout: Duration = timedelta(minutes=20)


class Policy(Message):
    """One service's whole policy."""

    service: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    alias: str = "live"
    artifact_bucket: str
    api: str = Field("api", description="the function that takes the shifted traffic")
    functions: dict[str, Function]
    shift: Shift
    approval: Approval
    checklist: Checklist
    ci: Ci = Ci()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if self.api not in self.functions:
            raise ValueError(f"[functions.{self.api}] is missing: the release shifts its traffic")
        for item in self.checklist.manual:
            for role in item.roles:
                if role not in self.approval.approvers:
                    raise ValueError(f"checklist item {item.id!r} names the unknown role {role!r}")
        return self

    def function_name(self, name: str, environment: str) -> str:
        """The Lambda function's name in an environment."""
        return f"{self.service}-{name}-{environment}"

    def table_name(self, environment: str) -> str:
        """The DynamoDB table's name in an environment."""
        return f"{self.service}-{environment}"

    def compressed(self, factor: float) -> "Policy":
        """The same policy with the ladder's and the windows' times divided by `factor`."""
        if factor == 1:
            return self
        shift = self.shift
        return self.model_copy(
            update={
                "shift": shift.model_copy(
                    update={
                        "steps": tuple(
                            step.model_copy(update={"min_duration": step.min_duration / factor})
                            for step in shift.steps
                        ),
                        "max_wait": shift.max_wait / factor,
                        "max_blind": max(shift.max_blind / factor, timedelta(seconds=30)),
                        "bake": shift.bake / factor,
                    }
                ),
            }
        )


def alarm_period_seconds(clock_factor: float) -> int:
    """The alarms' period under a compressed clock: the shortest that CloudWatch allows.

    A minute at factor 1; CloudWatch knows 10, 20, 30 and multiples of 60.
    """
    return next((period for period in (10, 20, 30) if period >= 60 / clock_factor), 60)


def parse_policy(text: str) -> Policy:
    """The policy of a `release.toml` text.

    Raises:
        PolicyError: one line naming the first thing to change.
    """
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"release.toml is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part).splitlines()[0] for part in first["loc"] if str(part))
        message = first["msg"].removeprefix("Value error, ")
        raise PolicyError(f"release.toml: {where + ': ' if where else ''}{message}") from error

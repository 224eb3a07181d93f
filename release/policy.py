"""The policy of a service, `release.toml`: read once at the promoted sha, then frozen.

A mistake in it is one clear line before anything starts.
"""

import tomllib
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from release.channels import Channel
from release.checklist import ANY_SERVICE, ContractCase, Groups, Item, Limits, WatchItem
from release.message import Message
from release.windows import Windows

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
    dry_run: bool = Field(
        False, description='answers {"dryRun": true} with {"status": "ok"}, and changes nothing'
    )


class ShiftStep(Message):
    """One rung of the traffic ladder."""

    canary_weight: float = Field(gt=0, le=1, description="fraction of requests sent to the canary")
    min_duration: timedelta


class Strategy(StrEnum):
    """How traffic moves: `release/ladder.py` makes the rungs of all but the last."""

    LINEAR = "linear"
    CANARY = "canary"
    ADAPTIVE = "adaptive"
    ALL_AT_ONCE = "all_at_once"
    CODEDEPLOY = "codedeploy"


class LowTraffic(StrEnum):
    """What happens when a rung has waited its longest and still too few requests were judged."""

    PROCEED = "proceed"
    ROLL_BACK = "roll_back"


class Shift(Message):
    """How traffic moves: the flow's default is 10 % a minute."""

    strategy: Strategy = Strategy.LINEAR
    step: float = Field(
        0.1, gt=0, lt=1, description="linear: weight added each time; canary: the first weight"
    )
    every: Duration = Field(
        timedelta(minutes=1), description="linear: time between steps; of a pre-ramp: its time"
    )
    hold: Duration = Field(timedelta(minutes=5), description="canary: time before 100 %")
    pre_ramp: bool = Field(
        True, description="linear, canary: climbs to the first step from below, in its time"
    )
    total: Duration = Field(timedelta(minutes=9), description="adaptive: time to 100 %")
    min_weight: float = Field(0.001, gt=0, le=0.02, description="smallest weight to begin with")
    codedeploy_config: str = Field(
        "CodeDeployDefault.LambdaLinear10PercentEvery1Minute", description="codedeploy: its plan"
    )
    codedeploy_role: str = Field(
        "",
        pattern=r"^(arn:[\w-]+:iam::\d{12}:role/\S+)?$",
        description="codedeploy: its role's ARN",
    )
    bake: Duration = Field(timedelta(minutes=5), description="watched this long at 100 %")
    routes: tuple[str, ...] = Field((), max_length=20, description="routes judged on their own")
    min_requests: int = Field(
        20, ge=0, description="canary requests judged before 10 %; three times as many before 50 %"
    )
    max_wait: Duration = Field(timedelta(minutes=10), description="longest wait for min_requests")
    low_traffic: LowTraffic = LowTraffic.PROCEED
    max_blind: Duration = Field(
        timedelta(minutes=5), description="longest time without a measurement before rolling back"
    )
    max_pause: Duration = Field(timedelta(hours=4), description="a pause rolls back after this")

    @model_validator(mode="after")
    def _codedeploy_has_a_role(self) -> Self:
        if self.strategy is Strategy.CODEDEPLOY and not self.codedeploy_role:
            raise ValueError(
                "codedeploy_role is empty: CodeDeploy needs the ARN of a role that lets it shift "
                "the alias (docs/codedeploy.md)"
            )
        return self


class When(StrEnum):
    """For which releases a role is asked."""

    ALWAYS = "always"
    MAJOR = "major"


class Role(Message):
    """A role of the quorum: `needed` of its people have to agree."""

    people: tuple[str, ...]
    needed: int = Field(1, ge=1)
    when: When = When.ALWAYS


class Approval(Message):
    """Who may let a release into production, and for how long the question stands."""

    roles: dict[str, Role] = Field(min_length=1)
    timeout: Duration = timedelta(hours=24)
    remind_every: Duration = timedelta(hours=6)
    one_person_two_roles: bool = Field(
        False, description="whether somebody's one yes counts for every role that they hold"
    )
    authors_may_approve: bool = Field(
        False, description="whether the authors of the promoted commits count"
    )
    github: dict[str, str] = Field({}, description="GitHub login → the name in the roles")
    github_environment: str = Field("production", description="whose reviews are approvals")
    github_workflow: str = Field(
        ".github/workflows/promote.yml", description="only this workflow's runs count"
    )
    emails: dict[str, str] = Field({}, description="git author's e-mail → the name in the roles")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for name, role in self.roles.items():
            if len(set(role.people)) < role.needed:
                raise ValueError(f"role {name!r} needs {role.needed} people and has fewer")
        for login, name in self.github.items():
            if not self.roles_of(name):
                raise ValueError(f"[approval.github] {login!r} is {name!r}, who holds no role")
        if self.remind_every and self.timeout > 12 * self.remind_every:
            raise ValueError("remind_every: at most 12 reminders within the timeout")
        return self

    def roles_of(self, name: str) -> tuple[str, ...]:
        """The roles that name this person."""
        return tuple(role for role, entry in self.roles.items() if name in entry.people)


class Checklist(Message):
    """What has to be true before anyone is asked for production."""

    staging: Groups = Field(description="the flow's staging validation checklist")
    pre_production: Groups = Field(description="the flow's pre-production checklist")
    timeout: Duration = timedelta(hours=24)
    retry_every: Duration = Field(
        timedelta(minutes=5), description="how often what could not be measured is tried again"
    )
    waivers: tuple[str, ...] = Field((), description="roles that may waive an inconclusive item")
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [item.id for item in self.items()]
        twice = sorted({item for item in ids if ids.count(item) > 1})
        if twice:
            raise ValueError(f"item {twice[0]!r} stands twice")
        return self

    def items(self) -> tuple[Item, ...]:
        """Every item, in the order of the file."""
        both = (*self.staging.values(), *self.pre_production.values())
        return tuple(item for group in both for item in group)


class Ci(Message):
    """Where the results of the project's own checks come from.

    With a repository, from GitHub's check runs of the commit; without one, the worker runs the
    commands on a clean checkout of it.
    """

    repository: str = Field("", pattern=r"^([\w.-]+/[\w.-]+)?$", description="GitHub's owner/name")
    check_runs: dict[str, str] = Field({}, description="check → the name of GitHub's check run")
    commands: dict[str, str] = Field({}, description="check → the command that passes or fails it")
    timeout: Duration = timedelta(minutes=20)


class Drill(Message):
    """How often the rollback is drilled, and what it counts for: release/drill.py."""

    environment: str = Field("staging", pattern="^(staging|prod)$")
    every: Duration = Field(timedelta(days=7), gt=timedelta(0), description="of the schedule")
    stale_after: Duration = Field(timedelta(days=14), description="an older drill proves nothing")
    max_seconds: int = Field(60, gt=0, description="from the alarm to 100 % baseline")
    required: bool = Field(False, description="without a good drill nobody is asked to approve")

    @model_validator(mode="after")
    def _can_be_fresh(self) -> Self:
        if self.stale_after < self.every:
            raise ValueError("stale_after is shorter than every: the drill would often be stale")
        return self


class PostDeploy(Message):
    """What production is watched for after a release; each time counts from the release's end.

    Without any item nothing is watched.
    """

    immediate_until: Duration = Field(timedelta(minutes=15), gt=timedelta(0))
    short_term_until: Duration = Field(timedelta(minutes=60), gt=timedelta(0))
    long_term_until: Duration = Field(timedelta(hours=24), gt=timedelta(0))
    immediate: tuple[WatchItem, ...] = ()
    short_term: tuple[WatchItem, ...] = ()
    long_term: tuple[WatchItem, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.immediate_until < self.short_term_until < self.long_term_until:
            raise ValueError(
                "immediate_until, short_term_until and long_term_until have to rise in this order"
            )
        ids = [item.id for item in self.items()]
        twice = sorted({item for item in ids if ids.count(item) > 1})
        if twice:
            raise ValueError(f"item {twice[0]!r} stands twice")
        return self

    def items(self) -> tuple[WatchItem, ...]:
        """Every item, in the order of the windows."""
        return (*self.immediate, *self.short_term, *self.long_term)


class Infrastructure(Message):
    """The stacks whose changes travel with a release: release/infrastructure.py."""

    template: str = Field(pattern=r"^[\w-][\w./-]*$", description="its path in the repository")
    stack: str = Field(
        "{service}-{environment}",
        pattern=r"^[A-Za-z{][\w{}-]*$",
        description="the name of an environment's stack",
    )
    waive_within: Duration = Field(
        timedelta(hours=1), description="how long a refused change waits for a waiver"
    )

    @model_validator(mode="after")
    def _stacks_differ(self) -> Self:
        if "{environment}" not in self.stack:
            raise ValueError("stack has to name its {environment}, or two would be one")
        return self


class Policy(Message):
    """One service's whole policy."""

    service: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    alias: str = "live"
    artifact_bucket: str
    api: str = Field("api", description="the function that takes the shifted traffic")
    functions: dict[str, Function]
    contract: tuple[ContractCase, ...] = Field(
        ANY_SERVICE, description="asked of staging over HTTP, and of a new version at weight 0"
    )
    shift: Shift
    approval: Approval
    checklist: Checklist
    ci: Ci = Ci()
    notify: tuple[Channel, ...] = Field((), description="who hears of releases, and where")
    drill: Drill = Drill()
    windows: Windows = Windows()
    post_deploy: PostDeploy = PostDeploy()
    infrastructure: Infrastructure | None = Field(None, description="without it no stack changes")

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if self.api not in self.functions:
            raise ValueError(f"[functions.{self.api}] is missing: the release shifts its traffic")
        for item in self.checklist.items():
            for role in (*item.manual, *((item.approval,) if item.approval else ())):
                self._check_role(f"checklist item {item.id!r}", role)
        for role in self.checklist.waivers:
            self._check_role("checklist.waivers", role)
        return self

    def _check_role(self, place: str, role: str) -> None:
        if role not in self.approval.roles:
            raise ValueError(f"{place} names the unknown role {role!r}")

    def function_name(self, name: str, environment: str) -> str:
        """The Lambda function's name in an environment."""
        return f"{self.service}-{name}-{environment}"

    def function_names(self, environment: str) -> dict[str, str]:
        """Function → its full name in an environment."""
        return {name: self.function_name(name, environment) for name in self.functions}

    def dry_runs(self) -> tuple[str, ...]:
        """The functions that can be invoked without an effect."""
        return tuple(name for name, function in self.functions.items() if function.dry_run)

    def table_name(self, environment: str) -> str:
        """The DynamoDB table's name in an environment."""
        return f"{self.service}-{environment}"

    def stack_name(self, environment: str) -> str:
        """The CloudFormation stack's name in an environment."""
        pattern = self.infrastructure.stack if self.infrastructure else ""
        of_service = pattern.replace("{service}", self.service)
        return of_service.replace("{environment}", environment)

    def compressed(self, factor: float) -> "Policy":
        """The same policy with the ladder's and the windows' times divided by `factor`."""
        if factor == 1:
            return self
        shift = self.shift
        checklist = self.checklist
        watch = self.post_deploy
        return self.model_copy(
            update={
                "checklist": checklist.model_copy(
                    update={
                        "retry_every": max(checklist.retry_every / factor, timedelta(seconds=5))
                    }
                ),
                "post_deploy": watch.model_copy(
                    update={
                        "immediate_until": watch.immediate_until / factor,
                        "short_term_until": watch.short_term_until / factor,
                        "long_term_until": watch.long_term_until / factor,
                    }
                ),
                "shift": shift.model_copy(
                    update={
                        "every": shift.every / factor,
                        "hold": shift.hold / factor,
                        "total": shift.total / factor,
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


def bucket_seconds(clock_factor: float) -> int:
    """The fast path's buckets; under a compressed clock a rung lasts a few seconds only."""
    return 5 if clock_factor == 1 else 1


def crash_bucket_seconds(clock_factor: float) -> int:
    """Lambda's own metrics come by the minute, but for the laptop's compressed clock."""
    return 60 if clock_factor == 1 else 1


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

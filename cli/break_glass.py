"""`starter.py rollback --break-glass`: straight at the aliases, with Temporal down or not asked."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from cli import aws, production, promotions
from cli.errors import NOT_COMPLETED, OK, CliError
from release.lease import Hand, Note
from release.message import Message
from release.policy import Policy
from release.way_back import ROLLBACK_ALIAS, NoWayBack, Standing, taken_out, way_back

_Answer = TypeVar("_Answer")

MOST_LOST_RACES = 20
PATIENCE_SECONDS = 120.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 10.0
# the description has 256 characters for all of the note; JSON makes up to 12 of one
_LONGEST_NAME, _LONGEST_FOREIGN_NAME = 60, 12
_LOST_RACE = {"PreconditionFailedException", "ResourceConflictException"}
_THROTTLED = {"TooManyRequestsException", "ThrottlingException", "Throttling"}

RECONCILED = (
    "Temporal was not asked. Each alias's description says who did this, when and why. A promotion "
    "that still runs finds that another hand moved the alias, and stops. The next promotion reads "
    "these notes first and quarantines what was taken out of service."
)


class Back(Message):
    """One function's alias afterwards; with an error it was not brought back."""

    function: str
    version: str = ""
    release: str = ""
    undone: str = ""
    error: str = ""


class BreakGlass:
    """Brings aliases back by compare-and-set writes that say who made them."""

    def __init__(
        self,
        lambda_: Any,
        policy: Policy,
        *,
        by: str,
        reason: str,
        in_order: Callable[[dict[str, str]], dict[str, str]] = dict,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lambda = lambda_
        self._policy = policy
        self._api = policy.function_name(policy.api, "prod")
        self._by = by[: _LONGEST_NAME if by.isascii() else _LONGEST_FOREIGN_NAME]
        self._reason = reason
        self._in_order = in_order
        self._say, self._sleep, self._clock = say, sleep, clock
        self._release = ""

    def bring_back(self, wanted: str | None) -> list[Back]:
        """Every function, the API first; what fails for one does not hold up the others."""
        names = sorted(self._policy.functions, key=lambda name: name != self._policy.api)
        return [self._try(self._policy.function_name(name, "prod"), wanted) for name in names]

    def _try(self, function: str, wanted: str | None) -> Back:
        # the first that is decided says the release: a number is a version of one function only,
        # and a function that a promotion has not reached yet must not go back further than its API
        if wanted is not None and self._release:
            wanted = self._release
        elif wanted is not None and wanted.isdigit() and function != self._api:
            return Back(
                function=function, error=f"{wanted} is a version of the API; name a release"
            )
        try:
            return self._bring_back(function, wanted)
        except NoWayBack as error:
            return Back(function=function, error=str(error))
        except (ClientError, BotoCoreError) as error:
            return Back(function=function, error=aws.told(error, "move its alias"))

    def _bring_back(self, function: str, wanted: str | None) -> Back:
        deadline = self._clock() + PATIENCE_SECONDS
        for _ in range(MOST_LOST_RACES):
            standing, revision = self._patiently(function, deadline, lambda: self._read(function))
            target = way_back(standing, wanted, self._release)
            self._release = self._release or standing.versions.get(target, "")
            undone = taken_out(standing, target)
            write = self._write(function, target, revision, undone)
            try:
                self._patiently(function, deadline, write)
            except ClientError as error:
                if _code(error) not in _LOST_RACE:
                    raise
                self._say(f"{function}: somebody else wrote the alias; reading it again")
                continue
            release = standing.versions.get(target, "")
            return Back(function=function, version=target, release=release, undone=undone)
        raise NoWayBack(f"{function}: lost the race for the alias {MOST_LOST_RACES} times")

    def _read(self, function: str) -> tuple[Standing, str]:
        alias = self._lambda.get_alias(FunctionName=function, Name=self._policy.alias)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        standing = Standing(
            function=function,
            version=alias["FunctionVersion"],
            canary=next(iter(weights), None),
            description=alias.get("Description", ""),
            versions=self._in_order(production.released_versions(function, self._lambda)),
            kept=self._kept(function),
        )
        return standing, alias["RevisionId"]

    def _kept(self, function: str) -> str | None:
        try:
            alias = self._lambda.get_alias(FunctionName=function, Name=ROLLBACK_ALIAS)
        except self._lambda.exceptions.ResourceNotFoundException:
            return None
        return str(alias["FunctionVersion"])

    def _write(
        self, function: str, target: str, revision: str, undone: str
    ) -> Callable[[], dict[str, Any]]:
        note = Note(
            hand=Hand.BREAK_GLASS,
            by=self._by,
            reason=self._reason,
            at=datetime.now(UTC).replace(microsecond=0),
            undone=undone,
        )
        # it writes even what is there already: a shift that is still in flight lands no more
        return lambda: self._lambda.update_alias(
            FunctionName=function,
            Name=self._policy.alias,
            FunctionVersion=target,
            RoutingConfig={"AdditionalVersionWeights": {}},
            Description=note.to_description(),
            RevisionId=revision,
        )

    def _patiently(self, function: str, deadline: float, call: Callable[[], _Answer]) -> _Answer:
        """The call's answer; what may pass is tried again until the deadline, visibly."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except (ClientError, HTTPClientError) as error:
                left = deadline - self._clock()
                if not _may_pass(error) or left <= 0:
                    raise
                self._say(f"{function}: {error}; trying again, for {left:.0f} s more")
                self._sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def run(arguments: Any) -> int:
    """Production is back, without a word to Temporal; 0 only if every function is."""
    if not arguments.reason.strip():
        raise CliError("--break-glass needs --reason: the alias keeps it for those who come after")
    repository = promotions.commits()
    policy = repository.policy(repository.resolve("HEAD"))
    glass = BreakGlass(
        # every try is shown, so none is hidden in the client
        aws.client("lambda", retries=0),
        policy,
        by=arguments.name,
        reason=arguments.reason,
        in_order=repository.in_order,
    )
    with aws.asking("bring production back"):
        backs = glass.bring_back(arguments.to)
    _print(backs, as_json=arguments.json)
    return NOT_COMPLETED if any(back.error for back in backs) else OK


def _print(backs: list[Back], *, as_json: bool) -> None:
    if as_json:
        functions = [back.model_dump() for back in backs]
        print(json.dumps({"functions": functions, "reconciled": RECONCILED}))
        return
    for back in backs:
        if back.error:
            print(f"{back.function} is NOT back: {back.error}")
        else:
            left = f"; out of service: version {back.undone}" if back.undone else ""
            release = f" ({back.release})" if back.release else ""
            print(f"{back.function} serves version {back.version}{release}, all traffic{left}")
    print(RECONCILED)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _may_pass(error: Exception) -> bool:
    """Throttled, broken on AWS's side, or not reached."""
    if not isinstance(error, ClientError):
        return True
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return _code(error) in _THROTTLED or status == 429 or status >= 500

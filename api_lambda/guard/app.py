"""The guard: every minute, the baseline goes back where a release fell silent or an alarm is red.

It still works when the worker, the Temporal server or the network between them and AWS does not,
and so it needs none of them: only the lease that a release keeps renewing in the description of
the alias, and the alarms. An alias without a lease is left alone: its weights are a person's, or
no release is under way.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from alarms import Alarms
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError
from lease import Lease, read_lease, text_of, write_note

MOST_TRIES = 3
LOST_RACE = {"PreconditionFailedException", "ResourceConflictException"}
# The alarms, and two functions read and written, all at their slowest: within one minute.
CLIENT = ClientConfig(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}
)


class GuardError(Exception):
    """Not every function could be looked after."""


@dataclass(frozen=True)
class Config:
    """What to look after; the functions are put back in this order."""

    functions: tuple[str, ...]
    alias: str
    alarms: tuple[str, ...]
    function_name: str

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Config":
        """Raises KeyError when a variable is missing."""
        return cls(
            functions=_names(variables["FUNCTIONS"]),
            alias=variables["ALIAS"],
            alarms=_names(variables["ALARMS"]),
            function_name=variables["AWS_LAMBDA_FUNCTION_NAME"],
        )


@dataclass(frozen=True)
class Undoing:
    """An alias on its way back."""

    baseline: str
    undone: str
    reason: str
    note: str


class Guard:
    """Looks after the aliases of one environment."""

    def __init__(
        self, config: Config, lambda_: Any, cloudwatch: Any, clock: Callable[[], datetime]
    ) -> None:
        self._config = config
        self._lambda = lambda_
        self._cloudwatch = cloudwatch
        self._clock = clock

    def run(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Which functions were put back, and which were left, and why.

        With `{"dryRun": true}` nothing is written, and `restored` is what would be.

        Raises:
            GuardError: a function could not be looked after; every other one was. Calling again
                is harmless, and right.
        """
        dry_run = event.get("dryRun") is True
        alarms = Alarms(self._cloudwatch, self._config.alarms)
        restored, left, failed = {}, {}, {}
        for function in self._config.functions:
            try:
                found = self._look_after(function, alarms, dry_run)
            except Exception as error:  # whatever it is, the next function is looked after too
                failed[function] = f"{type(error).__name__}: {error}"
                continue
            if isinstance(found, Undoing):
                restored[function] = {
                    "version": found.baseline,
                    "undone": found.undone,
                    "reason": found.reason,
                }
            else:
                left[function] = found
        result = {"restored": restored, "left": left}
        self._write_line(result | {"failed": failed, "problem": alarms.problem, "dryRun": dry_run})
        if failed:
            raise GuardError(json.dumps(failed))
        return result

    def _look_after(self, function: str, alarms: Alarms, dry_run: bool) -> Undoing | str:
        """What was undone, or why nothing was."""
        tried: Undoing | None = None
        for _ in range(MOST_TRIES):
            alias = self._lambda.get_alias(FunctionName=function, Name=self._config.alias)
            description = alias.get("Description", "")
            if tried and tried.note == description:  # written; only the answer had been lost
                return tried
            lease = read_lease(description)
            if lease is None:
                return "no lease"
            now = self._clock()
            reason = _reason(lease, now, alarms)
            if reason is None:
                return f"leased to {lease.holder} until {text_of(lease.expires)}"
            tried = self._undoing(alias, lease, reason, now)
            if dry_run or self._put_back(function, tried, alias["RevisionId"]):
                return tried
        raise GuardError(f"it was changed {MOST_TRIES} times while it was being put back")

    def _undoing(self, alias: dict[str, Any], lease: Lease, reason: str, now: datetime) -> Undoing:
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        served = [alias["FunctionVersion"], *weights]
        undone = ",".join(version for version in served if version != lease.baseline)
        note = write_note(self._config.function_name, reason, now, undone)
        return Undoing(lease.baseline, undone, reason, note)

    def _put_back(self, function: str, undoing: Undoing, revision: str) -> bool:
        """Whether the alias was still the one that was read."""
        try:
            self._lambda.update_alias(
                FunctionName=function,
                Name=self._config.alias,
                FunctionVersion=undoing.baseline,
                RoutingConfig={"AdditionalVersionWeights": {}},
                Description=undoing.note,
                RevisionId=revision,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in LOST_RACE:
                raise
            return False
        return True

    def _write_line(self, fields: dict[str, Any]) -> None:
        level = "info"
        if fields["restored"] or fields["problem"]:
            level = "warning"
        if fields["failed"]:
            level = "error"
        line = {"event": "guard", "level": level, "timestamp": text_of(self._clock())} | fields
        print(json.dumps(line, separators=(",", ":")), flush=True)


def _reason(lease: Lease, now: datetime, alarms: Alarms) -> str | None:
    """Why the baseline must go back. Of a stale lease the alarms are not even asked."""
    if lease.is_stale(now):
        return f"no sign of life from {lease.holder} since {text_of(lease.expires)}"
    red = [name for name in alarms.red() if not lease.ignores(name)]
    return f"alarm {red[0]} is red" if red else None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in map(str.strip, text.split(",")) if name)


@cache
def _guard() -> Guard:
    return Guard(
        Config.from_environment(os.environ),
        boto3.client("lambda", config=CLIENT),
        boto3.client("cloudwatch", config=CLIENT),
        lambda: datetime.now(UTC),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """AWS Lambda's entry point."""
    return _guard().run(event or {})

"""Drill: what only a rollback drill does to Lambda and CloudWatch; the rest is a release's own."""

import base64
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity

from activities.deploy import Deploy
from activities.inputs import NoopInput, RaiseInput, RollbackInput
from activities.traffic import Traffic
from release.alarms import canary_alarm_name
from release.drill import NOOP

VARIABLE = "DRILL"
_SPLIT_SECONDS, _POLL_SECONDS = 30, 0.1


class Drills:
    """Makes a version that changes nothing, and the alarm that takes it away."""

    def __init__(self, lambda_: Any, cloudwatch: Any) -> None:
        self._lambda, self._cloudwatch = lambda_, cloudwatch
        self._deploy, self._traffic = Deploy(lambda_), Traffic(lambda_)

    @activity.defn
    def publish_noop(self, order: NoopInput) -> str:
        """The number of a version with the baseline's code and variables, and one variable more.

        `$LATEST` has its variables back; its code is the baseline's from now on, which matters to
        nobody: a release brings its own. The no-op versions of earlier drills are gone. This one
        stays until the next drill: Lambda may still route to it for a moment after the rollback.

        Raises:
            RuntimeError: somebody else deployed to `$LATEST` in between; a retry starts afresh.
        """
        versions = self._versions(order.function)
        label = f"{NOOP} {order.label}"
        for number, description in versions.items():
            if description == label:  # an earlier attempt got this far and its answer was lost
                self._put_back(order.function)
                return number
        self._delete_earlier(order.function, versions)
        baseline = self._lambda.get_function_configuration(
            FunctionName=order.function, Qualifier=order.baseline
        )
        latest = self._with_code(order, baseline["CodeSha256"])
        before, ours = _others(latest), _variables(baseline) | {VARIABLE: order.label}
        self._configure(order.function, latest, ours)
        try:
            found = self._deploy.ready(order.function)
            if _variables(found) != ours:
                raise RuntimeError(f"{order.function}: somebody else deploys to it now")
            version = self._lambda.publish_version(
                FunctionName=order.function, CodeSha256=baseline["CodeSha256"], Description=label
            )
        finally:
            self._put_back(order.function, ours, before)
        return str(version["Version"])

    @activity.defn
    def raise_alarm(self, order: RaiseInput) -> datetime:
        """The canary's alarm is red, and the canary had its weight before; the moment of it.

        CloudWatch's next evaluation puts the alarm back by what it measures.

        Raises:
            TimeoutError: the weight has not come.
        """
        watched = order.watched
        deadline = time.monotonic() + _SPLIT_SECONDS
        while self._traffic.read(watched.function, order.alias).canary != watched.canary:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{watched.function} has no weight on version {watched.canary}")
            time.sleep(_POLL_SECONDS)
        at = datetime.now(UTC)
        self._cloudwatch.set_alarm_state(
            AlarmName=canary_alarm_name(watched.service, watched.environment),
            StateValue="ALARM",
            StateReason=order.reason,
        )
        return at

    @activity.defn
    def alias_is_anothers(self, order: RollbackInput) -> bool:
        """Whether somebody else moves the alias now, which a drill must not undo."""
        alias = self._traffic.read(order.function, order.alias)
        return alias.version != order.baseline or alias.canary not in (None, order.canary)

    @activity.defn
    def confirm_baseline(self, order: RollbackInput) -> datetime:
        """When the alias was seen to serve the baseline alone.

        Raises:
            RuntimeError: it does not.
        """
        alias = self._traffic.read(order.function, order.alias)
        at = datetime.now(UTC)
        if (alias.version, alias.canary) != (order.baseline, None):
            raise RuntimeError(f"{order.function} does not serve version {order.baseline} alone")
        return at

    def _versions(self, function: str) -> dict[str, str]:
        pages = self._lambda.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        return {v["Version"]: v.get("Description", "") for p in pages for v in p["Versions"]}

    def _delete_earlier(self, function: str, versions: dict[str, str]) -> None:
        for number, description in versions.items():
            if number == "$LATEST" or not description.startswith(NOOP):
                continue
            try:
                self._lambda.delete_function(FunctionName=function, Qualifier=number)
            except ClientError as error:  # an alias may still name it; it does no harm
                activity.logger.warning("%s version %s stays: %s", function, number, error)

    def _with_code(self, order: NoopInput, code_sha256: str) -> Any:
        """`$LATEST` once it has the baseline's code: after a rollback it has the bad release's."""
        latest = self._deploy.ready(order.function)
        if latest["CodeSha256"] == code_sha256:
            return latest
        self._lambda.update_function_code(
            FunctionName=order.function,
            S3Bucket=order.bucket,
            S3Key=f"lambda/{base64.b64decode(code_sha256).hex()}.zip",
        )
        return self._deploy.ready(order.function)

    def _configure(self, function: str, latest: Any, variables: dict[str, str]) -> None:
        self._lambda.update_function_configuration(
            FunctionName=function,
            Environment={"Variables": variables},
            RevisionId=latest["RevisionId"],
        )

    def _put_back(
        self, function: str, ours: dict[str, str] | None = None, before: Any = None
    ) -> None:
        """Our variable is gone, and what we set beside it; what a release wrote meanwhile stays."""
        latest = self._deploy.ready(function)
        if VARIABLE in _variables(latest):
            untouched = _variables(latest) == ours
            self._configure(function, latest, before if untouched else _others(latest))


def _others(configuration: Any) -> dict[str, str]:
    return {k: v for k, v in _variables(configuration).items() if k != VARIABLE}


def _variables(configuration: Any) -> dict[str, str]:
    return dict(configuration.get("Environment", {}).get("Variables", {}))

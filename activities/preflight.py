"""Preflight: what a rollback will need is there, asked before anybody approves and before traffic.

A rollback that is first tried when it is needed is the one that fails.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws import error_code
from activities.checks.live_alarms import expect_live_alarms
from activities.git import is_ancestor
from activities.http_event import http_answer, http_event
from activities.inputs import PreflightInput
from activities.invoke import DRY_RUN, invoke
from activities.measured import measured
from activities.staging import Check
from release.lease import Lease, Note
from release.verdict import CheckResult
from release.way_back import ROLLBACK_ALIAS

_PIN_DESCRIPTION = "keeps the version that a rollback returns to from being deleted"
_IMPOSSIBLE_REVISION = "00000000-0000-0000-0000-000000000000"
_DENIED = {"AccessDeniedException", "AccessDenied"}
ALIAS_CLEAN = "alias-clean"
"""The check that fails while somebody else moves the traffic."""
AHEAD = "ahead"
"""The check that fails for a commit which production contains already."""
_ANSWERS = (200, 503)  # 503 is the service's own word for prices that are too old

Measure = Callable[[PreflightInput, str, Check], None]


class Preflight:
    """Asks the AWS that a rollback would ask, with the role that would ask it."""

    def __init__(self, lambda_: Any, cloudwatch: Any, repository: Path) -> None:
        self._lambda = lambda_
        self._cloudwatch = cloudwatch
        self._repository = repository

    @activity.defn
    def preflight(self, order: PreflightInput) -> list[CheckResult]:
        """One result per check and function, `<check>/<function>`, and one for the alarms.

        It writes the `rollback` alias and nothing else. Asked again it finds the same.
        """
        results = []
        for name in order.functions:
            for check_id, text, measure in self._checks(order, name):
                activity.heartbeat(f"{check_id} of {name}")
                results.append(self._measured(order, name, check_id, text, measure))
        activity.heartbeat("alarms")
        text = "The flow's alarms watch what is released, and can fire"
        results.append(measured("alarms", text, lambda c: self._alarms(order, c)))
        if order.sha:
            text = "The commit is not behind what production runs"
            results.append(measured(AHEAD, text, lambda c: self._ahead(order, c)))
        return results

    def _checks(self, order: PreflightInput, name: str) -> list[tuple[str, str, Measure]]:
        checks: list[tuple[str, str, Measure]] = [
            (ALIAS_CLEAN, "nobody else moves its traffic", self._alias_clean),
            ("rollback-target", "the version to go back to answers", self._target),
            ("rollback-target-pinned", "the version to go back to cannot be deleted", self._pinned),
            ("rollback-permission", "this role may roll it back", self._permission),
        ]
        if name == order.api:  # the others are moved whole, and need no weights
            text = "new and old version may share the traffic"
            checks.append(("same-settings", text, self._same_settings))
        return checks

    def _measured(
        self, order: PreflightInput, name: str, check_id: str, text: str, measure: Measure
    ) -> CheckResult:
        return measured(
            f"{check_id}/{name}",
            f"{order.functions[name]}: {text}",
            lambda check: measure(order, name, check),
        )

    def _alias(self, order: PreflightInput, name: str) -> Any:
        return self._lambda.get_alias(FunctionName=order.functions[name], Name=order.alias)

    def _alias_clean(self, order: PreflightInput, name: str, check: Check) -> None:
        alias = self._alias(order, name)
        for reason in _unclean(alias, order.expected.get(name)):
            check.expect(False, reason)
        check.saw(f"version {alias['FunctionVersion']} has all traffic, nobody's lease stands")
        note = Note.from_description(alias.get("Description", ""))
        if note is not None:
            undone = f", which undid version {note.undone}" if note.undone else ""
            check.saw(f"note of {note.at:%Y-%m-%d %H:%M}Z: {note.hand} by {note.by}{undone}")
            check.saw(note.reason)

    def _target(self, order: PreflightInput, name: str, check: Check) -> None:
        function = order.functions[name]
        version = str(self._alias(order, name)["FunctionVersion"])
        if not self._exists(function, version):
            check.expect(False, f"version {version} does not exist any more")
            return
        check.saw(f"version {version}")
        # asked before its state is read: an idle version is woken by being invoked
        if name == order.api:
            self._expect_http_answer(function, version, check)
        elif name in order.dry_runs:
            self._expect_dry_run(function, version, check)
        else:
            check.saw("not invoked: what it does without a request to do it is not known")
        found = self._configuration(function, version)
        state = found.get("State", "Active")  # absent where a version never sleeps
        check.expect(state == "Active", f"version {version} is {state}: {found.get('StateReason')}")
        check.saw(f"state {state}")

    def _exists(self, function: str, version: str) -> bool:
        try:
            self._configuration(function, version)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return False
            raise
        return True

    def _expect_http_answer(self, function: str, version: str, check: Check) -> None:
        invoked = invoke(self._lambda, function, version, http_event("GET", "/health"))
        if invoked.failed:
            check.expect(False, f"version {version}: GET /health: {invoked.failure}")
            return
        status = http_answer(invoked.payload).status_code
        answers = status in _ANSWERS
        check.expect(answers, f"version {version} answers GET /health with {status}")
        check.saw(f"GET /health {status} in {invoked.milliseconds:.0f} ms")

    def _expect_dry_run(self, function: str, version: str, check: Check) -> None:
        invoked = invoke(self._lambda, function, version, DRY_RUN)
        check.expect(not invoked.failed, f"version {version}: dry run: {invoked.failure}")
        check.saw(f"a dry run came back in {invoked.milliseconds:.0f} ms")

    def _pinned(self, order: PreflightInput, name: str, check: Check) -> None:
        function, alias = order.functions[name], self._alias(order, name)
        unclean = _unclean(alias, order.expected.get(name))
        if unclean:  # what it serves now may be another release's canary
            check.could_not(f"not written, since {unclean[0]}")
            return
        version = str(alias["FunctionVersion"])
        if self._pin(function) != version:
            self._write_pin(function, version)
            check.saw(f"{ROLLBACK_ALIAS} now names version {version}")
        found = self._pin(function)
        check.expect(found == version, f"{ROLLBACK_ALIAS} names version {found}, not {version}")
        check.saw(f"{ROLLBACK_ALIAS} names version {version}, which Lambda therefore keeps")

    def _pin(self, function: str) -> str | None:
        try:
            found = self._lambda.get_alias(FunctionName=function, Name=ROLLBACK_ALIAS)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        return str(found["FunctionVersion"])

    def _write_pin(self, function: str, version: str) -> None:
        pin = {
            "FunctionName": function,
            "Name": ROLLBACK_ALIAS,
            "FunctionVersion": version,
            "Description": _PIN_DESCRIPTION,
        }
        try:
            self._lambda.create_alias(**pin)
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":  # it exists
                raise
            self._lambda.update_alias(**pin)

    def _permission(self, order: PreflightInput, name: str, check: Check) -> None:
        """Asks for the rollback's write in a way that can never be carried out.

        IAM is asked before the `RevisionId` is compared, and no field is given that could change.
        """
        try:
            self._lambda.update_alias(
                FunctionName=order.functions[name],
                Name=order.alias,
                RevisionId=_IMPOSSIBLE_REVISION,
            )
        except ClientError as error:
            code = error_code(error)
            if code in _DENIED:
                check.expect(False, f"UpdateAlias is denied: {error.response['Error']['Message']}")
            elif code != "PreconditionFailedException":
                raise
            check.saw("UpdateAlias is allowed: refused for the RevisionId alone, nothing written")
            return
        check.expect(False, "UpdateAlias took a RevisionId that cannot be: no write is safe here")

    def _same_settings(self, order: PreflightInput, name: str, check: Check) -> None:
        """Lambda splits traffic only between versions of one role and one dead-letter queue."""
        function = order.functions[name]
        version = str(self._alias(order, name)["FunctionVersion"])
        new, old = self._configuration(function, "$LATEST"), self._configuration(function, version)
        for what, of_new, of_old in (
            ("role", new.get("Role"), old.get("Role")),
            ("dead-letter queue", _dead_letters(new), _dead_letters(old)),
        ):
            differ = f"the new version would have {what} {of_new}, version {version} has {of_old}"
            check.expect(of_new == of_old, f"{differ}: Lambda refuses weights between them")
            check.saw(f"{what} {of_new} in $LATEST and in version {version}")

    def _ahead(self, order: PreflightInput, check: Check) -> None:
        """What is released leads on from production, or at least goes beside it."""
        version = str(self._alias(order, order.api)["FunctionVersion"])
        found = self._configuration(order.functions[order.api], version)
        variables = found.get("Environment", {}).get("Variables", {})
        live, release = variables.get("GIT_SHA", ""), variables.get("RELEASE_VERSION", "?")
        check.saw(f"production runs {release} ({live[:12] or 'no known commit'})")
        behind = order.sha == live or (
            bool(live) and is_ancestor(self._repository, order.sha, live)
        )
        check.expect(
            not behind,
            f"production runs {release} ({live[:12]}), which contains {order.sha[:12]} already; "
            "to go back: `starter.py rollback --to`, or revert and promote the revert",
        )

    def _configuration(self, function: str, version: str) -> Any:
        return self._lambda.get_function_configuration(FunctionName=function, Qualifier=version)

    def _alarms(self, order: PreflightInput, check: Check) -> None:
        expect_live_alarms(self._cloudwatch, order, check)


def _unclean(alias: dict[str, Any], expected: str | None) -> list[str]:
    """Why the alias is not one version's alone, or not the expected one's."""
    reasons = []
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    for version, weight in weights.items():
        reasons.append(f"version {version} has {weight:.0%} of the traffic")
    lease = Lease.from_description(alias.get("Description", ""))
    if lease is not None:
        until = f"{lease.expires:%Y-%m-%d %H:%M:%S}Z"
        reasons.append(f"a lease of {lease.holder} (run {lease.run}) stands until {until}")
    version = str(alias["FunctionVersion"])
    if expected is not None and version != expected:
        reasons.append(f"it serves version {version}, not {expected}")
    return reasons


def _dead_letters(configuration: dict[str, Any]) -> str:
    return str((configuration.get("DeadLetterConfig") or {}).get("TargetArn") or "none")

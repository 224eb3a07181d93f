"""Smoke: a new version answers as it should before any user's request reaches it.

It is invoked by its number, so no alias and no weight is needed, and what it takes to start is paid
here and not by a user.
"""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity

from activities.contract_cases import CASES, Case
from activities.inputs import SmokeInput
from activities.invoke import DRY_RUN, Invoked, InvokeTransport, invoke
from activities.measured import measured
from activities.staging import Check, NoTestKeys, Staging, StagingClient
from release.verdict import CheckResult


class Smoke:
    """Asks each new version what the integration tests ask staging, and what it documents itself.

    Nothing of it outlasts it but log lines and the test keys' counts: it may run again.
    """

    def __init__(self, lambda_: Any, staging: Staging) -> None:
        self._lambda = lambda_
        self._staging = staging

    @activity.defn
    def smoke(self, order: SmokeInput) -> list[CheckResult]:
        """The API's results, then one per other function, `dry-run/<function>`.

        The first invocations come first: whatever else is asked finds the version warm.
        """
        others = [name for name in order.versions if name != order.api]
        api = self._api(order) if order.api in order.versions else []
        return [*api, *(self._other(order, name) for name in others)]

    def _api(self, order: SmokeInput) -> list[CheckResult]:
        function, version = order.functions[order.api], order.versions[order.api]
        transport = InvokeTransport(self._lambda, function, version)
        what = f"{function} version {version}"
        try:
            client = self._staging.connect(order, transport=transport)
        except (ClientError, BotoCoreError, ValueError) as error:
            return [_unmeasured("smoke", f"{what} answers as it should", error)]
        with client:
            return _Api(client, transport, order, what).results()

    def _other(self, order: SmokeInput, name: str) -> CheckResult:
        function, version = order.functions[name], order.versions[name]

        def measure(check: Check) -> None:
            activity.heartbeat(f"dry run of {name}")
            if name not in order.dry_runs:
                check.not_applicable("no invocation without an effect is known of it")
                return
            _expect_dry_run(check, invoke(self._lambda, function, version, DRY_RUN))

        return measured(f"dry-run/{name}", f"{function} version {version} does its work", measure)


class _Api:
    """One version of the API, asked through `client`, which goes through `transport`."""

    def __init__(
        self, client: StagingClient, transport: InvokeTransport, order: SmokeInput, what: str
    ) -> None:
        self._client = client
        self._transport = transport
        self._sha = order.sha
        self._cases = order.cases
        self._what = what

    def results(self) -> list[CheckResult]:
        """The cold start, then the contract's cases."""
        cases: dict[str, tuple[str, Case]] = {
            "cold-start": ("Its first invocation answers", self._starts),
            **{name: CASES[name] for name in self._cases},
        }
        return [self._measured(case_id, text, case) for case_id, (text, case) in cases.items()]

    def _measured(self, check_id: str, text: str, case: Case) -> CheckResult:
        return measured(check_id, f"{self._what}: {text}", lambda check: self._run(case, check))

    def _run(self, case: Case, check: Check) -> None:
        before = len(self._transport.invoked)
        try:
            case(self._client, self._sha, check)
        except NoTestKeys as error:
            check.could_not(str(error))
        for invoked in self._transport.invoked[before:]:
            check.expect(not invoked.failed, invoked.failure)

    def _starts(self, client: StagingClient, sha: str, check: Check) -> None:
        """The first invocation, and another one that finds the instance warm."""
        first = self._invoked(check)
        again = self._invoked(check)
        if first.init_ms is None:
            check.saw(f"first invocation {first.milliseconds:.0f} ms, no init told")
        else:
            told = f"{first.milliseconds:.0f} ms, of which init {first.init_ms:.0f} ms"
            check.saw(f"cold start: first invocation {told}")
        check.saw(f"the next {again.milliseconds:.0f} ms")

    def _invoked(self, check: Check) -> Invoked:
        status = self._client.send("/health", key=None).status_code
        check.expect(status == 200, f"GET /health answered {status}")
        return self._transport.invoked[-1]


def _expect_dry_run(check: Check, invoked: Invoked) -> None:
    if invoked.failed:
        check.expect(False, invoked.failure)
        return
    try:
        found = json.loads(invoked.payload)
    except ValueError:
        found = None
    status = found.get("status") if isinstance(found, dict) else None
    check.expect(status == "ok", f"a dry run came to {invoked.payload[:200]}")
    check.saw(f"a dry run is ok after {invoked.milliseconds:.0f} ms")
    if invoked.init_ms is not None:
        check.saw(f"cold start: init {invoked.init_ms:.0f} ms")


def _unmeasured(check_id: str, text: str, error: Exception) -> CheckResult:
    check = Check(check_id, text)
    check.could_not(f"could not be measured: {error}")
    return check.result()

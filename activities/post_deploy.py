"""The day after a release: production is looked at, and what is seen twice in a row is said."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.aws import AwsClients
from activities.checks.context import Patience
from activities.checks.guarded import guarded
from activities.checks.production import ProductionContext, ProductionFunction
from activities.checks.production_registry import PRODUCTION_CHECKS
from activities.clock import ServerClock
from activities.inputs import WatchInput, WatchSeen
from activities.staging import Staging
from activities.traffic import Traffic
from release.checklist import ProductionCheck
from release.post_deploy import Served, judge_served, served_text
from release.verdict import CheckResult, Verdict

_BEAT_SECONDS = 5.0  # each heartbeat carries all that was seen, for an hour


class PostDeploy:
    """Watches production; changes nothing there."""

    def __init__(
        self,
        staging: Staging,
        aws: AwsClients,
        traffic: Traffic,
        repository: Path,
        checks: Mapping[ProductionCheck, ProductionFunction] = PRODUCTION_CHECKS,
    ) -> None:
        self._staging, self._aws, self._traffic = staging, aws, traffic
        self._repository = repository
        self._checks = checks

    @activity.defn
    def watch_production(self, order: WatchInput) -> WatchSeen:
        """What the last look saw: at the order's end, at harm, or when the release is superseded.

        A check that failed is looked at once more before that counts. A later attempt goes on with
        what the one before had seen, and makes at least one look of its own.
        """
        return _Watch(self, order).run()

    def context(self, order: WatchInput) -> ProductionContext:
        """What one look works with."""
        return ProductionContext(order, self._staging, self._aws, self._repository, Patience())

    def check(self, context: ProductionContext, name: str) -> CheckResult:
        """One check's result; it never raises."""
        function = self._checks[ProductionCheck(name)]
        text = (function.__doc__ or name).splitlines()[0].rstrip(".")
        return guarded(name, text, lambda check: function(context, check))

    def alias(self, order: WatchInput) -> tuple[Served, str]:
        """Whose the API's alias is, and in words what it serves.

        Raises:
            ClientError, BotoCoreError: it could not be read.
        """
        found = self._traffic.read(order.functions[order.api], order.alias)
        return judge_served(found, order.published[order.api]), served_text(found)

    def release_before(self, order: WatchInput) -> str:
        """What the baseline's own description says it is; empty where it could not be read."""
        try:
            found = self._aws.lambda_.get_function_configuration(
                FunctionName=order.functions[order.api], Qualifier=order.baseline[order.api]
            )
        except (ClientError, BotoCoreError) as error:
            activity.logger.warning("the version before could not be read: %s", error)
            return ""
        return str(found.get("Description", ""))


class _Watch:
    """One attempt of one watch."""

    def __init__(self, production: PostDeploy, order: WatchInput) -> None:
        self._production, self._order = production, order
        self._clock = ServerClock()  # by which the order's end is told
        self._seen = _earlier() or WatchSeen(at=self._clock.now(), red_before=order.red_before)

    def run(self) -> WatchSeen:
        order = self._order
        with ThreadPoolExecutor(1, thread_name_prefix="look") as self._pool:
            while True:
                self._look(order.checks)
                if failed := self._failed():
                    self._wait(order.confirm_after)
                    self._look(failed)
                now = self._clock.now()
                if self._seen.superseded or self._failed() or now >= order.until:
                    return self._seen
                self._wait(min(order.look_every, order.until - now))

    def _failed(self) -> tuple[str, ...]:
        return tuple(r.id for r in self._seen.results if r.verdict is Verdict.FAILED)

    def _look(self, names: tuple[str, ...]) -> None:
        try:
            served, text = self._production.alias(self._order)
        except (ClientError, BotoCoreError) as error:
            self._see([_unmeasured(name, f"the alias: {error}") for name in names])
            return
        if served is Served.ANOTHERS:
            self._seen = self._seen.model_copy(update={"superseded": text})
        elif served is Served.SHARED:
            # what is seen now says nothing of the release alone, for or against it
            self._see([_unmeasured(name, f"production serves {text}") for name in names])
        else:
            self._measure(names)

    def _measure(self, names: tuple[str, ...]) -> None:
        order = self._order.model_copy(update={"red_before": self._seen.red_before})
        context = self._production.context(order)
        try:
            for name in names:
                future = self._pool.submit(self._production.check, context, name)
                while wait([future], _BEAT_SECONDS).not_done:
                    self._say_alive()
                self._see([future.result()])
                self._say_alive()
        finally:
            context.stop()
            context.close()
        self._seen = self._seen.model_copy(
            update={
                "red_before": context.red_before,
                "looks": self._seen.looks + 1,
                "release_before": self._seen.release_before
                or self._production.release_before(order),
            }
        )

    def _see(self, results: list[CheckResult]) -> None:
        found = {result.id: result for result in (*self._seen.results, *results)}
        ordered = tuple(found[name] for name in self._order.checks if name in found)
        self._seen = self._seen.model_copy(update={"results": ordered, "at": self._clock.now()})

    def _wait(self, time: timedelta) -> None:
        deadline = self._clock.now() + time
        while (rest := (deadline - self._clock.now()).total_seconds()) > 0:
            activity.wait_for_cancelled_sync(min(rest, _BEAT_SECONDS))
            self._say_alive()

    def _say_alive(self) -> None:
        """What was seen so far can be read, and is what a later attempt begins with.

        Raises:
            CancelledError: the watch is not wanted any more, or the worker stops.
        """
        activity.heartbeat(self._seen)
        if activity.is_cancelled():
            raise CancelledError("the watch was cancelled")


def _earlier() -> WatchSeen | None:
    """What an attempt before this one had seen."""
    try:
        (details,) = activity.info().heartbeat_details
        return WatchSeen.model_validate(details)
    except (ValueError, ValidationError):
        return None


def _unmeasured(name: str, reason: str) -> CheckResult:
    return guarded(name, name, lambda check: check.could_not(f"could not be measured: {reason}"))

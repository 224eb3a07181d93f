"""AWS CodeDeploy moves the alias; the release watches it, judges, and stops it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from activities.aws import error_code
from activities.codedeploy_api import GROUP_IS_BUSY, Deployments, translated
from activities.inputs import DeploymentInput, StepInput, StepResult
from activities.traffic import Traffic, not_ours
from activities.watching import Watching
from release.codedeploy import SUCCEEDED, app_spec, deployment_group
from release.promotion import StepJudgement
from release.verdict import Verdict

FOREIGN_DEPLOYMENT = "ForeignDeployment"
_ENDING_POLL_SECONDS = 1.0


class CodeDeploy:
    """Shifts by CodeDeploy, and sees to it that CodeDeploy has ended."""

    def __init__(
        self,
        codedeploy: Any,
        traffic: Traffic,
        cloudwatch: Any,
        rollback_shows_within: timedelta = timedelta(seconds=20),
    ) -> None:
        self._codedeploy, self._traffic, self._cloudwatch = codedeploy, traffic, cloudwatch
        self._rollback_shows_within = rollback_shows_within

    @activity.defn
    def shift_by_codedeploy(self, order: StepInput) -> StepResult:
        """CodeDeploy's deployment has ended, or was judged bad and is being stopped.

        A later attempt watches the deployment that an earlier one made, even one that has ended;
        what was counted since the step began is read again. Cancelled, it stops the deployment.

        Raises:
            ApplicationError: not retryable, when CodeDeploy refuses for good, when somebody else's
                deployment is under way, or when somebody else changed the alias.
        """
        deployments = self._deployments(order.watched.service, order.watched.environment)
        watching = Watching(order, self._cloudwatch)
        return _Attempt(order, deployments, self._traffic, watching).run()

    @activity.defn
    def end_deployment(self, order: DeploymentInput) -> bool:
        """No deployment of this promotion writes the alias any more, nor CodeDeploy's rollback.

        Whether there was such a rollback: it deploys the last revision that CodeDeploy knows to be
        good (its user guide), which need not be what production served before this promotion.

        Raises:
            ApplicationError: not retryable, when CodeDeploy refuses for good.
        """
        deployments = self._deployments(order.service, order.environment)
        began = datetime.now(UTC)
        try:
            while True:
                waited = datetime.now(UTC) - began
                rolled_back = self._end(deployments, order.promotion, waited)
                if rolled_back is not None:
                    return rolled_back
                activity.heartbeat("CodeDeploy is rolling back")
                activity.wait_for_cancelled_sync(_ENDING_POLL_SECONDS)
        except ClientError as error:
            raise translated(error) from error

    def _end(self, deployments: Deployments, promotion: str, waited: timedelta) -> bool | None:
        """Whether CodeDeploy rolled back; None while it may still write.

        What still shifts is told to stop.
        """
        recent = deployments.recent()
        ours = [found for found in recent if found.is_of(promotion)]
        moving = [found for found in ours if not found.is_over]
        for found in moving:
            deployments.stop(found.id)
        ids = {found.id for found in ours}
        backs = [found for found in recent if found.rolls_back in ids]
        to_come = any(
            found.status != SUCCEEDED and found.id not in {back.rolls_back for back in backs}
            for found in ours
        )
        is_rolling_back = any(not back.is_over for back in backs)
        if moving or is_rolling_back or (to_come and waited < self._rollback_shows_within):
            return None
        return bool(backs)

    def _deployments(self, service: str, environment: str) -> Deployments:
        return Deployments(self._codedeploy, service, environment)


class _Attempt:
    """One attempt of a shift by CodeDeploy."""

    def __init__(
        self, order: StepInput, deployments: Deployments, traffic: Traffic, watching: Watching
    ) -> None:
        self._order, self._deployments = order, deployments
        self._traffic, self._watching = traffic, watching
        self._promotion = f"{order.lease.holder}/{order.lease.run}"
        self._deployment = ""
        self._alias = order.expected
        self._weight: float | None = None
        self._looked_at = order.since

    def run(self) -> StepResult:
        try:
            # whole, or not at all: a deployment whose id is lost is one that nobody watches
            with activity.shield_thread_cancel_exception():
                self._deployment = self._begin()
            return self._watch()
        except CancelledError:
            self._stop_if_asked()
            raise

    def _begin(self) -> str:
        try:
            self._read_alias(self._watching.clock.now())
            return self._find() or self._create()
        except ClientError as error:
            raise translated(error) from error

    def _find(self) -> str:
        """The deployment that this promotion has made already, or nothing.

        Raises:
            ApplicationError: not retryable, when another one is under way in the group.
        """
        recent = self._deployments.recent()
        for found in recent:
            if found.is_of(self._promotion):
                return found.id
        for found in recent:
            if not found.is_over:
                by = f" ({found.description})" if found.description else ""
                raise ApplicationError(
                    f"CodeDeploy deployment {found.id}{by} is under way in the same group; "
                    "promote again when it has ended",
                    type=FOREIGN_DEPLOYMENT,
                    non_retryable=True,
                )
        return ""

    def _create(self) -> str:
        order, watched, shift = self._order, self._order.watched, self._order.shift
        activity.heartbeat()
        self._deployments.make_group(
            deployment_group(
                watched.service,
                watched.environment,
                shift.codedeploy_config,
                shift.codedeploy_role,
                order.progress.preexisting_alarms,
            )
        )
        spec = app_spec(watched.function, order.expected.alias, order.baseline, watched.canary)
        activity.heartbeat()
        if activity.is_cancelled():
            raise CancelledError("cancelled before CodeDeploy began")
        try:
            return self._deployments.create(spec, self._promotion)
        except ClientError as error:
            # an answer that was lost: CodeDeploy has one deployment of a group at a time
            if error_code(error) == GROUP_IS_BUSY and (found := self._find()):
                return found
            raise

    def _watch(self) -> StepResult:
        watching = self._watching
        watching.measured_at = watching.clock.now()
        while True:
            now = watching.clock.now()
            judgement = watching.unless_blind(self._judge, now)
            watching.heartbeat(weight=self._weight)
            if judgement is not None:
                if judgement.verdict is not Verdict.PASSED:
                    self._stop()
                return StepResult(
                    judgement=judgement, alias=self._alias, progress=watching.progress
                )
            watching.wait(now, weight=self._weight)

    def _judge(self, now: datetime) -> StepJudgement | None:
        deployment = self._deployments.read(self._deployment)
        if deployment.is_over and deployment.status != SUCCEEDED:
            # whatever its rollback has at the alias by now
            return self._concluded(Verdict.FAILED, deployment.ending)
        self._read_alias(now)  # after the deployment: what that says of the alias is done by then
        harm = self._watching.judge(now)
        if harm is not None or not deployment.is_over:
            return harm
        if self._weight != 1:
            order = self._order
            whole = self._alias.serving(order.baseline, order.watched.canary, 1)
            raise not_ours(whole, self._alias)
        seen = self._watching.look.canary
        failed = f"{seen.failures} of {seen.requests} requests failed so far"
        text = f"CodeDeploy deployment {deployment.id} succeeded; {failed}"
        return self._concluded(Verdict.PASSED, text)

    def _read_alias(self, now: datetime) -> None:
        """The alias, its weight noted.

        Raises:
            ApplicationError: not retryable: somebody else than CodeDeploy wrote it.
        """
        order, expected = self._order, self._order.expected
        alias = self._traffic.read(expected.function, expected.alias)
        ours = {None, order.baseline, order.watched.canary}
        # CodeDeploy leaves the description alone; the guard and a person write theirs into it
        if {alias.version, alias.canary} - ours or alias.description != expected.description:
            raise not_ours(expected, alias)
        self._alias = alias
        weight = alias.share_of(order.watched.canary)
        if weight != self._weight:
            self._watching.weigh(self._looked_at, weight)
            self._weight = weight
        self._looked_at = now

    def _concluded(self, verdict: Verdict, reason: str) -> StepJudgement:
        watching = self._watching
        return StepJudgement(
            verdict=verdict,
            reason=reason,
            canary=watching.look.canary,
            baseline=watching.look.baseline,
            evidence=round(watching.progress.test.strength(watching.tested), 3),
        )

    def _stop_if_asked(self) -> None:
        """An abort stops the deployment; a worker that ends leaves it to the next attempt."""
        details = activity.cancellation_details()
        if self._deployment and details is not None and details.cancel_requested:
            # the watching may have noticed before the exception reached this thread
            with activity.shield_thread_cancel_exception():
                self._stop()

    def _stop(self) -> None:
        """Best effort: the rollback that follows stops it again, and waits for its end."""
        try:
            self._deployments.stop(self._deployment)
        except (ClientError, BotoCoreError) as error:
            activity.logger.warning("CodeDeploy could not be stopped: %s", error)

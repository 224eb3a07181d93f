"""One step of the ladder: the weight moves, and is watched until `release` has judged it."""

from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity

from activities.inputs import ShiftInput, StepInput, StepResult
from activities.traffic import Traffic
from activities.watching import Watching
from release import lease
from release.alarms import alarm_prefix
from release.judgement import judge_end
from release.policy import ShiftStep
from release.promotion import StepJudgement
from release.verdict import Verdict

_RENEW_EVERY = lease.DURATION / 4


class ShiftSteps:
    """Moves production's traffic, one weight at a time."""

    def __init__(self, traffic: Traffic, cloudwatch: Any) -> None:
        self._traffic, self._cloudwatch = traffic, cloudwatch

    @activity.defn
    def shift_step(self, order: StepInput) -> StepResult:
        """The canary has the weight, and the step is judged; its counts can be watched live.

        A later attempt goes on where the last step ended: the weight is absolute, what was counted
        since is read again, and at least one fresh measurement is made before a step passes.

        Raises:
            ApplicationError: not retryable, when somebody else changed the alias: `Traffic.move`.
        """
        return _Step(order, self._traffic, Watching(order, self._cloudwatch)).run()


class _Step:
    """One attempt of one step."""

    def __init__(self, order: StepInput, traffic: Traffic, watching: Watching) -> None:
        self._order = order
        self._traffic, self._watching = traffic, watching
        self._alias = order.expected

    def run(self) -> StepResult:
        watching = self._watching
        watching.measured_at = renewed_at = self._move()
        while True:
            now = watching.clock.now()
            judgement = watching.unless_blind(self._judge, now)
            watching.heartbeat()
            if judgement is not None:
                return StepResult(
                    judgement=judgement, alias=self._alias, progress=watching.progress
                )
            if now - renewed_at >= _RENEW_EVERY or self._must_tell_the_guard():
                renewed_at = self._renew(now, renewed_at)
            watching.wait(now)

    def _move(self) -> datetime:
        order, now = self._order, self._watching.clock.now()
        self._alias = self._traffic.move(
            ShiftInput(
                baseline=order.baseline,
                canary=order.watched.canary,
                weight=order.weight,
                expected=order.expected,
                lease=self._lease(now),
            )
        )
        self._watching.weigh(order.since, order.weight)
        # a first attempt's lease may be old already: it is renewed at the first look
        return now if self._alias.revision_id != order.expected.revision_id else order.since

    def _lease(self, now: datetime) -> lease.Lease:
        watched = self._order.watched
        prefix = f"{alarm_prefix(watched.service, watched.environment)}-"
        suffixes = tuple(name.removeprefix(prefix) for name in self._watching.ignored)
        expires = (now + lease.DURATION).replace(microsecond=0)
        return self._order.lease.model_copy(update={"expires": expires, "ignored": suffixes})

    def _renew(self, now: datetime, renewed_at: datetime) -> datetime:
        try:
            self._alias = self._traffic.renew(self._alias, self._lease(now))
        except (ClientError, BotoCoreError) as error:
            activity.logger.warning("the lease could not be renewed: %s", error)
            return renewed_at
        return now

    def _must_tell_the_guard(self) -> bool:
        found = lease.Lease.from_description(self._alias.description)
        return (
            found is not None and found.ignored != self._lease(self._watching.clock.now()).ignored
        )

    def _judge(self, now: datetime) -> StepJudgement | None:
        order, watching = self._order, self._watching
        harm = watching.judge(now)
        if harm is not None:
            return harm
        rung = ShiftStep(canary_weight=order.weight, min_duration=order.min_duration)
        test, look = watching.progress.test, watching.look
        ended = judge_end(order.shift, rung, order.next_weight, watching.tested, test, look)
        if ended is not None and order.is_pause:
            reason = f"paused for {order.min_duration.total_seconds():.0f} s, and nobody resumed it"
            return ended.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})
        return ended

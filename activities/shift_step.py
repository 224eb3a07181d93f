"""One step of the ladder: the weight moves, and is watched until `release` has judged it."""

from datetime import datetime, timedelta
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
_PROMPT = timedelta(seconds=5)
"""A weight that is there so soon after it was ordered was there from then on."""
_LATE = timedelta(seconds=30)
"""A step that begins so long after it was ordered looks again before it climbs: with a call that
takes its longest, no weight grows on what was seen more than 90 s before."""


class ShiftSteps:
    """Moves production's traffic, one weight at a time."""

    def __init__(self, traffic: Traffic, cloudwatch: Any) -> None:
        self._traffic, self._cloudwatch = traffic, cloudwatch

    @activity.defn
    def shift_step(self, order: StepInput) -> StepResult:
        """The canary has the weight, and the step is judged; its counts can be watched live.

        A later attempt goes on where the last step ended: the weight is absolute, what was counted
        since is read again, and at least one fresh measurement is made before a step passes; one
        that comes late, after an outage, is also made before the weight grows.

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
        judgement = self._look_first() if self._climbs_late() else None
        return self._result(judgement) if judgement is not None else self._move_and_watch()

    def _climbs_late(self) -> bool:
        order = self._order
        if self._watching.clock.now() - order.since < _LATE:
            return False
        expected = order.expected
        share = self._traffic.read(expected.function, expected.alias).share_of(order.watched.canary)
        return share < order.weight  # an earlier attempt may have come so far

    def _look_first(self) -> StepJudgement | None:
        """Why not to climb; None once it was measured that nothing stands against it."""
        watching = self._watching
        while True:
            now = watching.clock.now()
            judgement = watching.unless_blind(self._judge_standing_still, now)
            watching.heartbeat()
            if judgement is not None:
                return judgement
            if watching.measured_at == now and not watching.look.firing:
                return None
            watching.wait(now)

    def _judge_standing_still(self, now: datetime) -> StepJudgement | None:
        harm, look = self._watching.judge(now), self._watching.look
        if harm is None and (look.step_back or look.firing):
            return self._judge_end()  # one step down, or to where both can be compared
        return harm

    def _move_and_watch(self) -> StepResult:
        watching = self._watching
        watching.measured_at = renewed_at = self._move()
        began = self._began()
        watching.begin(began, self._order.weight)
        while True:
            now = watching.clock.now()
            judgement = watching.unless_blind(self._judge, now)
            watching.heartbeat(since=began.isoformat())
            if judgement is not None:
                return self._result(judgement)
            if now - renewed_at >= _RENEW_EVERY or self._must_tell_the_guard():
                renewed_at = self._renew(now, renewed_at)
            watching.wait(now, since=began.isoformat())

    def _result(self, judgement: StepJudgement) -> StepResult:
        progress = self._watching.progress
        return StepResult(judgement=judgement, alias=self._alias, progress=progress)

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
        # a first attempt's lease may be old already: it is renewed at the first look
        return now if self._alias.revision_id != order.expected.revision_id else order.since

    def _began(self) -> datetime:
        """From when on the step's time counts: not that of an outage before its weight was there.

        An earlier attempt has said when that was; if it has not, all of the time counts anew.
        """
        now = self._watching.clock.now()
        if now - self._order.since < _PROMPT:
            return self._order.since
        told = [one for one in activity.info().heartbeat_details if isinstance(one, dict)]
        since = told[-1].get("since") if told else None
        return datetime.fromisoformat(since) if since else now

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
        harm = self._watching.judge(now)
        return harm if harm is not None else self._judge_end()

    def _judge_end(self) -> StepJudgement | None:
        order, watching = self._order, self._watching
        rung = ShiftStep(canary_weight=order.weight, min_duration=order.min_duration)
        test, look = watching.progress.test, watching.look
        ended = judge_end(order.shift, rung, order.next_weight, watching.tested, test, look)
        if ended is not None and order.is_pause:
            reason = f"paused for {order.min_duration.total_seconds():.0f} s, and nobody resumed it"
            return ended.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})
        return ended

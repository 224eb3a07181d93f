"""Shift production's traffic rung by rung, each judged before the next; the last is the bake."""

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.codedeploy import CodeDeploy
    from activities.inputs import (
        AlarmsInput,
        Armed,
        ArmInput,
        Progress,
        StepInput,
        StepResult,
    )
    from activities.shift_step import ShiftSteps
    from activities.traffic import INTERVENED
    from activities.watch import Watch
    from release.lease import Lease
    from release.policy import ShiftStep, Strategy
    from release.promotion import AliasState, Outcome, Stage, StepJudgement, StepRecord
    from release.text import percent
    from release.verdict import Verdict

from release.ladder import again, comparable_rung, next_rung, rungs
from release.policy import alarm_period_seconds, bucket_seconds, crash_bucket_seconds
from workflows import options
from workflows.state import Ended, PromotionState
from workflows.steps.publish import shift

# The records travel with every query; a release that goes up and down for hours has more of them.
_MOST_RECORDS = 200
_LOOK_BACK = timedelta(minutes=1)
_MOST_COMPARISONS = 3  # an alarm that keeps coming back is the verdict
_LATE_SECONDS = 15  # a minute's crashes are known so long after its end


class Ladder:
    """The way of one function's production traffic from the baseline to the canary."""

    def __init__(self, state: PromotionState, alias: AliasState, canary: str) -> None:
        self.state = state
        self.alias = alias
        self.baseline = alias.version
        self.canary = canary
        self.comparisons = 0
        self.armed = Armed()
        self.progress = Progress(answers_until=workflow.now(), crashes_until=workflow.now())
        self.watched = AlarmsInput(
            service=state.policy.service,
            environment="prod",
            function=alias.function,
            canary=canary,
            period_seconds=alarm_period_seconds(state.request.clock_factor),
        )

    async def climb(self) -> None:
        """All traffic is on the canary and it stayed healthy.

        Raises:
            Ended: to be rolled back: a rung was judged bad or could not be judged, or the baseline
                was put back by the guard or by hand.
        """
        await self._arm()
        if self.state.policy.shift.strategy is Strategy.CODEDEPLOY:
            await self._by_codedeploy()
        ladder = rungs(self.state.policy.shift, self.armed.requests_per_second)
        self.state.show(ladder=tuple(rung.canary_weight for rung in ladder))
        index = served = 0
        while index < len(ladder):
            self._say(ladder, index)
            rung = again(ladder[index], self._bucket) if index < served else ladder[index]
            can_compare = self._can_compare(ladder)
            passed = await self._step(rung, _weight_after(ladder, index), can_compare=can_compare)
            if passed is not None and passed.compare:
                index = comparable_rung(ladder) or 0
                passed = await self._compare(ladder, index)
            if passed is None:  # somebody wants all traffic on it now
                index = len(ladder) - 1
                continue
            if self.state.paused is not None and index < len(ladder) - 1:
                await self._hold(ladder[index])
                continue  # its time is over already: what it waits for now is the judgement
            if not passed.step_back:
                served = max(served, index + 1)
            index = next_rung(index, step_back=passed.step_back)

    def _can_compare(self, ladder: tuple[ShiftStep, ...]) -> bool:
        if self.state.finish_now or comparable_rung(ladder) is None:
            return False
        return self.comparisons < _MOST_COMPARISONS

    async def _compare(self, ladder: tuple[ShiftStep, ...], index: int) -> StepJudgement | None:
        """An alarm high on the ladder turned out not to be the new version's doing.

        For as long as the slowest of the counts take to come; an alarm that is red then still is
        the verdict, as anywhere on the ladder.
        """
        self.comparisons += 1
        time = crash_bucket_seconds(self.state.request.clock_factor) + _LATE_SECONDS
        weight = ladder[index].canary_weight
        self.state.show(next=f"an alarm is red: compare both versions at {percent(weight)}")
        rung = ShiftStep(canary_weight=weight, min_duration=timedelta(seconds=time))
        return await self._step(rung, _weight_after(ladder, index), is_comparison=True)

    @property
    def _bucket(self) -> timedelta:
        return timedelta(seconds=bucket_seconds(self.state.request.clock_factor))

    async def _by_codedeploy(self) -> None:
        """AWS CodeDeploy has brought all traffic to the canary."""
        state = self.state
        plan = state.policy.shift.codedeploy_config
        state.enter(Stage.SHIFT, f"AWS CodeDeploy shifts by {plan}; `abort` stops it")
        record = StepRecord(weight=0.0, started_at=workflow.now())
        earlier = state.status.steps
        state.show(steps=(*earlier, record))
        whole = ShiftStep(canary_weight=1.0, min_duration=timedelta(0))
        try:
            result = await _result(
                workflow.execute_activity_method(
                    CodeDeploy.shift_by_codedeploy,
                    self._order(whole, None),
                    summary=f"CodeDeploy shifts to version {self.canary}, watched",
                    **options.SHIFT_BY_CODEDEPLOY,
                )
            )
        except ActivityError:
            state.stop_if_aborted()  # however the attempt ended that the abort met
            raise
        self.alias, self.progress = result.alias, result.progress
        reached = self.alias.share_of(self.canary)
        state.show(weight=reached)
        state.stop_if_aborted()
        self._conclude(record.model_copy(update={"weight": reached}), earlier, result)

    async def settle(self) -> None:
        """The release has ended well: no lease stands beside the weight any more."""
        self.alias = await shift(
            self.alias, self.baseline, self.canary, 1.0, f"{self.alias.function}: the lease ends"
        )
        self.state.stop_if_aborted()

    async def _arm(self) -> None:
        self.armed = await workflow.execute_activity_method(
            Watch.arm_alarms,
            ArmInput(watched=self.watched, alias=self.alias.alias, baseline=self.baseline),
            summary="arm the alarms, see what production is like",
            **options.AWS_CALL,
        )
        factor = self.state.request.clock_factor
        self.progress = Progress(
            answers_until=_begin(bucket_seconds(factor)),
            crashes_until=_begin(crash_bucket_seconds(factor)),
            preexisting_alarms=self.armed.preexisting_alarms,
        )

    def _say(self, ladder: tuple[ShiftStep, ...], index: int) -> None:
        rung, rest = ladder[index], len(ladder) - 1 - index
        time = f"{rung.min_duration.total_seconds():.0f} s"
        if rest == 0:
            self.state.enter(Stage.BAKE, f"watch for {time} at 100 %, then done")
            return
        text = f"step {index + 1} of {len(ladder)}: {percent(rung.canary_weight)} for at least"
        self.state.enter(Stage.SHIFT, f"{text} {time}, then {rest} more")

    async def _hold(self, rung: ShiftStep) -> None:
        """The weight is held, and watched, until somebody resumes or `max_pause` is over."""
        paused = self.state.paused
        longest = self.state.policy.shift.max_pause
        by = f" by {paused.by}: {paused.reason}" if paused else ""
        until = workflow.now() + longest
        self.state.show(
            next=f"paused{by}; `resume` goes on, and if nobody does the old version comes back at "
            f"{until:%H:%M} UTC"
        )
        held = ShiftStep(canary_weight=rung.canary_weight, min_duration=longest)
        await self._step(held, None, is_pause=True)

    async def _step(
        self,
        rung: ShiftStep,
        next_weight: float | None,
        *,
        is_pause: bool = False,
        can_compare: bool = False,
        is_comparison: bool = False,
    ) -> StepJudgement | None:
        """The step's judgement; None if a person's word ended it first."""
        state, weight = self.state, rung.canary_weight
        record = StepRecord(weight=weight, started_at=workflow.now())
        earlier = state.status.steps[-_MOST_RECORDS:]
        state.show(steps=(*earlier, record), weight=weight)
        step = workflow.start_activity_method(
            ShiftSteps.shift_step,
            self._order(rung, next_weight).model_copy(
                update={
                    "is_pause": is_pause,
                    "can_compare": can_compare,
                    "is_comparison": is_comparison,
                }
            ),
            summary=f"{percent(weight)} to version {self.canary}, watched",
            **options.shift_step(
                max(state.policy.shift.max_wait, rung.min_duration) + state.policy.shift.max_blind
            ),
        )
        try:
            await workflow.wait_condition(
                lambda: step.done() or self._is_overruled(rung, is_pause=is_pause)
            )
        finally:
            if not step.done():
                step.cancel()
        if not step.done():
            # as it is if the step's write was made; its buckets count with the weight
            self.progress = self.progress.weighed(record.started_at, weight)
            self.alias = self.alias.serving(self.baseline, self.canary, weight)
            state.show(steps=(*earlier, record.model_copy(update={"ended_at": workflow.now()})))
            state.stop_if_aborted()
            return None
        result = await _result(step)
        self.alias, self.progress = result.alias, result.progress
        state.stop_if_aborted()
        return self._conclude(record, earlier, result)

    def _is_overruled(self, rung: ShiftStep, *, is_pause: bool) -> bool:
        state = self.state
        finishing = state.finish_now and rung.canary_weight < 1
        return state.stopping or finishing or (is_pause and state.paused is None)

    def _conclude(
        self, record: StepRecord, earlier: tuple[StepRecord, ...], result: StepResult
    ) -> StepJudgement:
        judgement = result.judgement
        record = record.model_copy(update={"ended_at": workflow.now(), "judgement": judgement})
        self.state.show(steps=(*earlier, record))
        if judgement.verdict is not Verdict.PASSED:
            at = percent(record.weight)
            raise Ended(Outcome.ROLLED_BACK, f"at {at}: {judgement.reason}")
        return judgement

    def _order(self, rung: ShiftStep, next_weight: float | None) -> StepInput:
        info = workflow.info()
        return StepInput(
            watched=self.watched,
            expected=self.alias,
            baseline=self.baseline,
            weight=rung.canary_weight,
            next_weight=next_weight,
            min_duration=rung.min_duration,
            since=workflow.now(),
            shift=self.state.policy.shift,
            progress=self.progress,
            slow_ms=self.armed.slow_ms,
            lease=Lease(
                holder=info.workflow_id,
                run=info.run_id,
                baseline=self.baseline,
                expires=workflow.now(),  # set with every write
            ),
            bucket_seconds=bucket_seconds(self.state.request.clock_factor),
            crash_bucket_seconds=crash_bucket_seconds(self.state.request.clock_factor),
        )


async def disarm_alarms(alarms: AlarmsInput) -> None:
    """The release's own alarm is removed; if AWS does not let us, the release ends all the same."""
    try:
        await workflow.execute_activity_method(
            Watch.disarm_alarms,
            alarms,
            summary="remove the release's own alarm",
            **options.AWS_CALL,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.exception("the canary's alarm could not be removed; it does no harm")


async def _result(step: Any) -> StepResult:
    try:
        result: StepResult = await step
    except ActivityError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == INTERVENED:
            raise Ended(Outcome.ROLLED_BACK, str(cause.message)) from error
        raise
    return result


def _weight_after(ladder: tuple[ShiftStep, ...], index: int) -> float | None:
    return ladder[index + 1].canary_weight if index + 1 < len(ladder) else None


def _begin(seconds: int) -> datetime:
    """The edge of a bucket a while before the first move: an incident that is there already is seen
    as one, instead of as the release's doing.
    """
    before = workflow.now() - _LOOK_BACK
    return before - timedelta(seconds=before.timestamp() % seconds)

"""Shift production's traffic rung by rung, each judged before the next; then monitor at 100 %."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.inputs import AlarmsInput, WatchInput
    from activities.watch import Watch
    from release.promotion import AliasState, Outcome, Stage, StepRecord
    from release.verdict import Verdict

from release.policy import alarm_period_seconds
from workflows import options
from workflows.state import Ended, PromotionState
from workflows.steps.publish import shift


class Ladder:
    """The way of one function's production traffic from the baseline to the canary."""

    def __init__(self, state: PromotionState, alias: AliasState, canary: str) -> None:
        self.state = state
        self.alias = alias
        self.baseline = alias.version
        self.canary = canary
        self.preexisting_alarms: tuple[str, ...] = ()

    def alarms(self) -> AlarmsInput:
        """The alarms of this release."""
        return AlarmsInput(
            service=self.state.policy.service,
            environment="prod",
            function=self.alias.function,
            canary=self.canary,
            period_seconds=alarm_period_seconds(self.state.request.clock_factor),
        )

    async def climb(self) -> None:
        """All traffic is on the canary and it stayed healthy.

        Raises:
            Ended: rolled back, as soon as a rung is judged bad or could not be judged.
        """
        self.preexisting_alarms = await workflow.execute_activity_method(
            Watch.arm_alarms, self.alarms(), summary="arm the alarms", **options.AWS_CALL
        )
        ladder = self.state.policy.shift
        for number, step in enumerate(ladder.steps, 1):
            rest = len(ladder.steps) - number
            after = (
                f"{rest} more steps" if rest else f"{ladder.bake.total_seconds():.0f} s of watch"
            )
            self.state.enter(
                Stage.SHIFT,
                f"step {number} of {len(ladder.steps)}: {step.canary_weight:.0%} for at least "
                f"{step.min_duration.total_seconds():.0f} s, then {after}",
            )
            await self._move(step.canary_weight)
            await self._watch(step.canary_weight, step.min_duration)
        bake = ladder.bake
        self.state.enter(Stage.BAKE, f"watch for {bake.total_seconds():.0f} s at 100 %, then done")
        await self._watch(1.0, bake)

    async def _move(self, weight: float) -> None:
        summary = f"{self.alias.function}: {weight:.0%} to version {self.canary}"
        self.alias = await shift(self.alias, self.baseline, self.canary, weight, summary)
        self.state.show(weight=weight)
        self.state.stop_if_aborted()  # a write that ends normally swallows the cancellation

    async def _watch(self, weight: float, min_duration: timedelta) -> None:
        shift_policy = self.state.policy.shift
        record = StepRecord(weight=weight, started_at=workflow.now())
        earlier = self.state.status.steps
        self.state.show(steps=(*earlier, record))
        judgement = await workflow.execute_activity_method(
            Watch.watch_step,
            WatchInput(
                **self.alarms().model_dump(),
                alias=self.alias.alias,
                baseline=self.baseline,
                since=record.started_at,
                min_duration=min_duration,
                shift=shift_policy,
                preexisting_alarms=self.preexisting_alarms,
                poll_seconds=max(1.0, 5 / self.state.request.clock_factor),
            ),
            summary=f"watch {weight:.0%} for {min_duration.total_seconds():.0f} s",
            **options.watch(max(shift_policy.max_wait, min_duration) + shift_policy.max_blind),
        )
        record = record.model_copy(update={"ended_at": workflow.now(), "judgement": judgement})
        self.state.show(steps=(*earlier, record))
        if judgement.verdict is not Verdict.PASSED:
            raise Ended(Outcome.ROLLED_BACK, f"at {weight:.0%}: {judgement.reason}")


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

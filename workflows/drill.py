"""The rollback drill: an alarm is raised on purpose, and the way back is timed.

A no-op version gets a small weight by the very step that releases use; that step has to see the
alarm. Production's promotions rest on this way, which is otherwise walked on the worst day only.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    # by name and first of all: workflows/promotion.py says why
    import release.channels
    import release.check_runs
    import release.checklist
    import release.deployment_request
    import release.drill
    import release.evidence
    import release.github
    import release.lane
    import release.lease
    import release.message
    import release.policy
    import release.promotion
    import release.proof
    import release.sequential
    import release.text
    import release.verdict
    import release.votes
    import release.windows  # noqa: F401
    from activities.drill import Drills
    from activities.drill_records import DrillRecords
    from activities.inputs import (
        AlarmsInput,
        AliasInput,
        Armed,
        ArmInput,
        DrillsInput,
        NoopInput,
        Progress,
        RaiseInput,
        RollbackInput,
        StepInput,
        StepResult,
    )
    from activities.shift_step import ShiftSteps
    from activities.traffic import Traffic
    from activities.watch import Watch
    from release.drill import WEIGHT, DrillOutcome, DrillRequest, DrillResult, judge_drill
    from release.lane import Priority
    from release.lease import Lease, Note
    from release.policy import Shift
    from release.promotion import AliasState
    from release.text import code, percent
    from release.verdict import Verdict

from release.alarms import canary_alarm_name
from release.policy import alarm_period_seconds, bucket_seconds, crash_bucket_seconds
from workflows import options
from workflows.failures import failed_as, root_cause
from workflows.lane_seat import LaneSeat
from workflows.state import OUTCOME, SERVICE
from workflows.steps.roll_back import uninterrupted
from workflows.steps.shift_traffic import disarm_alarms

_RAISES_A_LOOK = 4  # an alarm that is put back between two looks must be red again at the next
_MOST_RAISES = 60
_LANE_PATIENCE = timedelta(seconds=10)  # a lane that has only just begun looks around first
_MARGIN = timedelta(minutes=5)  # the step outlives the wait for its verdict


class NotMeasured(Exception):
    """The drill has no figure; a refused one has not even begun."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@workflow.defn
class RollbackDrillWorkflow:
    """Measures one rollback; however it ends, the alias serves its baseline alone."""

    @workflow.init
    def __init__(self, request: DrillRequest) -> None:
        self.request = request
        self.at = workflow.now()
        self.now_doing = ""
        self.aborted = ""
        self.baseline = ""
        self.canary = ""
        self.is_moving = False
        self._lane = LaneSeat(request.service)

    @workflow.run
    async def run(self, request: DrillRequest) -> DrillResult:
        """How long it took from the alarm until the baseline had all traffic."""
        try:
            return await self._measured()
        finally:
            await uninterrupted(self._lane.leave())

    async def _measured(self) -> DrillResult:
        drill = asyncio.create_task(self._drill())
        try:
            await workflow.wait_condition(lambda: drill.done() or bool(self.aborted))
            if not drill.done():
                drill.cancel()
            result = await drill
        except NotMeasured as why:
            return self._end(self._failed(str(why)), refused=why.refused)
        except (asyncio.CancelledError, FailureError) as error:
            await uninterrupted(_settled(drill))
            if not is_cancelled_exception(error):
                return self._end(self._failed(root_cause(error)))
            result = self._end(self._failed(self.aborted or "cancelled in Temporal"))
            if not self.aborted:
                raise asyncio.CancelledError from error
            return result
        return self._end(result)

    async def _drill(self) -> DrillResult:
        alias = await self._free_alias()
        self.baseline = alias.version
        await self._take_lane()
        try:
            self._say("publish a version that changes nothing")
            self.canary = await self._publish()
            armed = await self._arm()
            await self._refuse_while_deploying()  # publishing took its time
            self.is_moving = True
            raised_at = await self._alarm_seen(alias, armed)
            self._say("the alarm was seen: all traffic back to the old version")
            await self._roll_back()
            taken = await self._confirm() - raised_at
        except BaseException:
            if self.is_moving:  # an alias that was never ours keeps its RevisionId
                await uninterrupted(self._put_back())
            raise
        finally:
            if self.canary:
                await uninterrupted(disarm_alarms(self._watched()))
        return judge_drill(self.request, self.at, self.baseline, taken)

    # --- before anything moves ---

    async def _free_alias(self) -> AliasState:
        """The alias, which serves one version and is nobody's."""
        request = self.request
        self._say(f"look whether {request.environment} is free")
        await self._refuse_while_deploying()
        try:
            alias = await workflow.execute_activity_method(
                Traffic.record_baseline,
                AliasInput(function=request.function, alias=request.alias),
                summary=f"record what {request.function} serves now",
                **options.AWS_CALL,
            )
        except ActivityError as error:
            if failed_as(error, "AliasBusy"):
                raise NotMeasured(str(error.cause), refused=True) from error
            raise
        lease, note = (kind.from_description(alias.description) for kind in (Lease, Note))
        if isinstance(lease, Lease):
            until = f"{lease.expires:%H:%M:%S} UTC"
            raise NotMeasured(
                f"{lease.holder} holds {request.function} until {until}; drill when it has ended",
                refused=True,
            )
        if isinstance(note, Note):  # a drill would wipe it out
            put_back = f"{note.hand.value} put {request.function} back ({note.reason})"
            raise NotMeasured(f"{put_back}; no promotion has recorded that yet", refused=True)
        return alias

    async def _refuse_while_deploying(self) -> None:
        service, environment = self.request.service, self.request.environment
        promotion = await workflow.execute_activity_method(
            DrillRecords.find_promotion_moving,
            DrillsInput(service=service, environment=environment),
            summary=f"does a promotion deploy to {environment} now?",
            **options.AWS_CALL,
        )
        if promotion:
            raise NotMeasured(
                f"{promotion} is deploying to {environment}; drill when it has ended", refused=True
            )

    async def _take_lane(self) -> None:
        """No promotion moves production meanwhile; a lane that is not free refuses the drill."""
        if self.request.environment != "prod":
            return
        self._say("take the production lane")
        self._lane.take("a rollback drill", Priority.NORMAL)
        try:
            await self._lane.ask(**options.NOTICE)
            await workflow.wait_condition(
                lambda: self._lane.is_held,
                timeout=_LANE_PATIENCE,
                timeout_summary="the lane is not free",
            )
        except ActivityError as failure:
            why = f"its lane does not answer: {failure.cause or failure}"
            raise NotMeasured(why, refused=True) from failure
        except TimeoutError:
            said = self._lane.says.text if self._lane.says else ""
            raise NotMeasured(f"production is not free: {said}", refused=True) from None

    async def _publish(self) -> str:
        request = self.request
        return await workflow.execute_activity_method(
            Drills.publish_noop,
            NoopInput(
                function=request.function,
                baseline=self.baseline,
                bucket=request.bucket,
                label=self.at.isoformat(),
            ),
            summary=f"publish a no-op version of {request.function}",
            **options.AWS_CALL,
        )

    async def _arm(self) -> Armed:
        return await workflow.execute_activity_method(
            Watch.arm_alarms,
            ArmInput(watched=self._watched(), alias=self.request.alias, baseline=self.baseline),
            summary="arm the canary's alarm",
            **options.AWS_CALL,
        )

    # --- the way that is timed ---

    async def _alarm_seen(self, alias: AliasState, armed: Armed) -> datetime:
        """When the alarm that the step has seen was raised, the first time."""
        longest = timedelta(seconds=self.request.max_seconds)
        self._say(f"{percent(WEIGHT)} to version {self.canary}, then raise its alarm")
        step = workflow.start_activity_method(
            ShiftSteps.shift_step,
            self._step(alias, armed, longest + _MARGIN),
            summary=f"{percent(WEIGHT)} to version {self.canary}, watched",
            **options.shift_step(longest + _MARGIN),
        )
        try:
            raised_at = await self._raise_until_seen(step, longest)
        finally:
            if not step.done():
                step.cancel()
        result: StepResult = await step
        judgement = result.judgement
        alarm = canary_alarm_name(self.request.service, self.request.environment)
        if raised_at is None or alarm not in judgement.reason:
            verdict = judgement.verdict.value
            raise NotMeasured(f"something else ended the step: {verdict}, {judgement.reason}")
        if judgement.verdict is not Verdict.FAILED:
            raise NotMeasured(f"the alarm was seen, and the step {judgement.verdict.value}")
        return raised_at

    async def _raise_until_seen(self, step: Any, longest: timedelta) -> datetime | None:
        """The first raise's moment; None if the step ended before the alarm was raised.

        The next evaluation puts the alarm back, perhaps before the step's next look.
        """
        raised_at = await self._raise_alarm(step)
        self._say(f"wait until the alarm is seen, {longest.total_seconds():.0f} s at most")
        raise_every = timedelta(seconds=bucket_seconds(self.request.clock_factor) / _RAISES_A_LOOK)
        until, raises = workflow.now() + longest, 1
        while not step.done():
            left = until - workflow.now()
            if left <= timedelta(0):
                raise NotMeasured(f"nobody saw the alarm within {longest.total_seconds():.0f} s")
            pause = min(left, raise_every) if raises < _MOST_RAISES else left
            try:
                await workflow.wait_condition(
                    step.done, timeout=pause, timeout_summary="raise the alarm again"
                )
            except TimeoutError:
                if workflow.now() < until:
                    await self._raise_alarm(step)
                    raises += 1
        return raised_at

    async def _raise_alarm(self, step: Any) -> datetime | None:
        """When the alarm went red; None if the step ended first."""
        raising = workflow.start_activity_method(
            Drills.raise_alarm,
            RaiseInput(
                watched=self._watched(),
                alias=self.request.alias,
                reason=f"rollback drill {workflow.info().workflow_id}",
            ),
            summary="raise the canary's alarm",
            **options.AWS_CALL,
        )
        try:
            await workflow.wait_condition(lambda: step.done() or raising.done())
            return await raising if raising.done() else None
        finally:
            if not raising.done():
                raising.cancel()

    def _step(self, alias: AliasState, armed: Armed, longest: timedelta) -> StepInput:
        info, now = workflow.info(), workflow.now()
        return StepInput(
            watched=self._watched(),
            expected=alias,
            baseline=self.baseline,
            weight=WEIGHT,
            min_duration=longest,
            since=now,
            shift=Shift(max_wait=longest),
            progress=Progress(
                answers_until=now,
                crashes_until=now,
                preexisting_alarms=armed.preexisting_alarms,
            ),
            slow_ms=armed.slow_ms,
            lease=Lease(
                holder=info.workflow_id, run=info.run_id, baseline=self.baseline, expires=now
            ),
            bucket_seconds=bucket_seconds(self.request.clock_factor),
            crash_bucket_seconds=crash_bucket_seconds(self.request.clock_factor),
        )

    # --- the way back ---

    async def _roll_back(self) -> None:
        await workflow.execute_activity_method(
            Traffic.roll_back,
            self._way_back(),
            summary=f"{self.request.function}: 100 % back to version {self.baseline}",
            **options.ROLLBACK,
        )

    async def _confirm(self) -> datetime:
        return await workflow.execute_activity_method(
            Drills.confirm_baseline,
            self._way_back(),
            summary="the alias serves the baseline alone",
            **options.AWS_CALL,
        )

    async def _put_back(self) -> None:
        """The alias serves its baseline, unless it is another's by now: the drill gives way."""
        anothers = await workflow.execute_activity_method(
            Drills.alias_is_anothers,
            self._way_back(),
            summary="is the alias still ours?",
            **options.ROLLBACK,
        )
        if anothers:
            workflow.logger.warning("%s is another's now: left alone", self.request.function)
        else:
            await self._roll_back()

    def _way_back(self) -> RollbackInput:
        request = self.request
        return RollbackInput(
            function=request.function,
            alias=request.alias,
            baseline=self.baseline,
            canary=self.canary,
        )

    def _watched(self) -> AlarmsInput:
        request = self.request
        return AlarmsInput(
            service=request.service,
            environment=request.environment,
            function=request.function,
            canary=self.canary,
            period_seconds=alarm_period_seconds(request.clock_factor),
        )

    # --- how it is shown ---

    def _failed(self, reason: str) -> DrillResult:
        environment = self.request.environment
        return DrillResult(
            environment=environment, at=self.at, baseline=self.baseline, reason=reason
        )

    def _end(self, result: DrillResult, *, refused: bool = False) -> DrillResult:
        outcome = DrillOutcome.PASSED if result.passed else DrillOutcome.FAILED
        if refused:
            outcome = DrillOutcome.REFUSED
        self._say(f"{outcome.value}: {result.reason}")
        workflow.upsert_search_attributes(
            [SERVICE.value_set(self.request.service), OUTCOME.value_set(outcome.value)]
        )
        return result

    def _say(self, text: str) -> None:
        request, self.now_doing = self.request, text
        versions = f"{self.baseline or '?'} → {self.canary or '?'}"
        workflow.set_current_details(
            f"### Rollback drill of {request.service} in {request.environment}\n\n"
            f"| | |\n|---|---|\n| now | {code(text, 400)} |\n"
            f"| Lambda version, old → no-op | {versions} |\n"
            f"| at most | {request.max_seconds} s from alarm to 100 % baseline |\n"
            f"| asked for by | {code(request.requested_by)} |\n\n"
            "**To stop**: *Send a Signal* → `abort`; the old version takes all traffic again."
        )

    @workflow.query(description="What the drill does now")
    def doing(self) -> str:
        """What the drill does now."""
        return self.now_doing

    @workflow.signal(description="The production lane's word: its own to send, not yours")
    def lane_says(self, payload: Any = None, *rest: Any) -> None:
        """The lane lets the drill in."""
        self._lane.hear(payload)

    @workflow.signal(description="Stop and put the baseline back")
    def abort(self, payload: Any = None, *rest: Any) -> None:
        """Stop, and put the old version back if traffic has moved."""
        by = payload.get("by") if isinstance(payload, dict) else None
        self.aborted = f"aborted by {by or 'somebody'}"


async def _settled(drill: "asyncio.Task[DrillResult]") -> None:
    """The drill has ended, however: its rollback is through."""
    drill.cancel()
    await asyncio.gather(drill, return_exceptions=True)

"""One commit's way from merge to production: the diagram, read top to bottom."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    # First of all the values, each by name: a module that decides would import a copy of its own,
    # whose classes and enum members are not those that the activities return.
    import release.change_set
    import release.channels
    import release.check_runs
    import release.checklist
    import release.deployment
    import release.deployment_request
    import release.drill
    import release.evidence
    import release.github
    import release.lane
    import release.lease
    import release.message
    import release.policy
    import release.post_deploy
    import release.proof
    import release.records
    import release.rollback
    import release.sequential
    import release.verdict
    import release.votes
    import release.windows  # noqa: F401
    from release.promotion import (
        AliasState,
        Artifact,
        Outcome,
        PromotionRequest,
        PromotionResult,
        PromotionStatus,
        Stage,
    )

from release.quorum import is_complete
from release.report import needs_fix_report
from workflows.failures import root_cause
from workflows.inbox import Inbox
from workflows.state import Ended, PromotionState
from workflows.steps.admit import admit
from workflows.steps.announce import tell_shifting, tell_started
from workflows.steps.before_traffic import preflight, smoke
from workflows.steps.build import build_artifacts
from workflows.steps.change_infrastructure import (
    change_production,
    change_staging,
    discard_plans,
    plan_production,
    production_changed,
)
from workflows.steps.complete_checklist import complete_checklist
from workflows.steps.deploy_to_staging import deploy_to_staging
from workflows.steps.hand_over import hand_over
from workflows.steps.publish import publish_versions, read_aliases, shift
from workflows.steps.quarantine import quarantine
from workflows.steps.request_approval import request_approval, void_approvals
from workflows.steps.roll_back import roll_back, uninterrupted
from workflows.steps.run_integration_tests import run_integration_tests
from workflows.steps.shift_traffic import Ladder, disarm_alarms
from workflows.steps.take_lane import take_lane
from workflows.steps.wait_for_approval import wait_for_approval
from workflows.together import together

# Each round costs some forty events of history; nobody changes their mind so often in good faith.
MOST_QUESTIONS = 10


@workflow.defn
class PromotionWorkflow:
    """Promotes one commit, or puts everything back."""

    @workflow.init
    def __init__(self, request: PromotionRequest) -> None:
        self.state = PromotionState(request)
        self.inbox = Inbox(self.state)

    @workflow.run
    async def run(self, request: PromotionRequest) -> PromotionResult:
        """The outcome; whatever it is, production serves exactly one version, whole."""
        promotion = asyncio.create_task(self._promote())
        failure: BaseException | None = None
        try:
            await workflow.wait_condition(lambda: promotion.done() or self.state.stopping)
            if not promotion.done():
                promotion.cancel()  # an abort and a cancellation by Temporal take the same way
            await promotion
            self.state.end(Outcome.COMPLETED, "the new version serves all traffic")
        except Ended as ended:
            fix = ended.outcome is Outcome.NEEDS_FIX
            report = needs_fix_report(self.state.status, request, ended.reason) if fix else ""
            self.state.end(ended.outcome, ended.reason, report)
        except (asyncio.CancelledError, FailureError) as error:
            self.state.stopping = True
            await uninterrupted(_settled(promotion))
            failure = self._end_without_verdict(error)
        await uninterrupted(self._leave())
        # also of one that was cancelled: whoever is just proving who they are gets an answer
        await uninterrupted(workflow.wait_condition(workflow.all_handlers_finished))
        if failure is not None:
            raise failure
        return self._result()

    async def _leave(self) -> None:
        """The next may move production, and what follows the end is on its way."""
        await asyncio.gather(self.state.lane.leave(), self._hand_over())

    async def _hand_over(self) -> None:
        """What stays of it is said, and what goes on is handed over."""
        await discard_plans(self.state)
        infrastructure = self.state.status.infrastructure
        stays = infrastructure.staying() if infrastructure else ""
        if stays and self.state.status.outcome is not Outcome.COMPLETED:
            self.state.note("infrastructure", "the promotion", None, stays)
        await hand_over(self.state)

    async def _promote(self) -> None:
        await admit(self.state)
        tell_started(self.state)
        artifacts = await build_artifacts(self.state)
        await change_staging(self.state)
        await deploy_to_staging(self.state, artifacts)
        await run_integration_tests(self.state)
        baseline = await self._pass_the_gates()
        self.state.enter(Stage.PRODUCTION, "publish the new version, then shift traffic to it")
        await self._release(artifacts, baseline)

    async def _pass_the_gates(self) -> dict[str, AliasState]:
        """Production's baseline, once the quorum agreed to exactly what will be done."""
        for _ in range(MOST_QUESTIONS):
            await complete_checklist(self.state)
            await plan_production(self.state)
            await request_approval(self.state)
            if not await wait_for_approval(self.state):
                void_approvals(self.state, "an answer of the checklist changed")
                continue
            if not await take_lane(self.state):
                void_approvals(self.state, "something was withdrawn while it waited for the lane")
            else:
                baseline = await self._last_look()
                if baseline is not None:
                    return baseline
            await self.state.lane.leave()
        raise Ended(Outcome.EXPIRED, f"asked {MOST_QUESTIONS} times, and changed each time")

    async def _last_look(self) -> dict[str, AliasState] | None:
        """Production's baseline, alone in production; None if the approvals are void by now."""
        baseline: dict[str, AliasState]
        changed, baseline, _ = await together(
            production_changed(self.state),
            read_aliases(self.state, "prod"),
            preflight(self.state, patient=True),  # a day may have passed since it was shown
        )
        self.state.stop_if_aborted()
        self.state.end_if_over()
        target = {name: alias.version for name, alias in baseline.items()}
        if target != self.state.rollback_target:
            void_approvals(self.state, "production changed: another version would be put back")
        elif changed:
            void_approvals(self.state, "production's stack would become something else")
        elif self.state.has_changed() or not is_complete(self.state.quorum()):
            void_approvals(self.state, "something was withdrawn at the last moment")
        else:
            self.state.is_deploying = True  # from here on only an abort stops it
            return baseline
        return None

    async def _release(
        self, artifacts: dict[str, Artifact], baseline: dict[str, AliasState]
    ) -> None:
        """Production serves the new version; or, if this raises, its baseline."""
        await change_production(self.state)
        api = self.state.policy.api
        canary: dict[str, str] = {}
        self.state.show(
            baseline_version=baseline[api].version,
            baseline={name: alias.version for name, alias in baseline.items()},
        )
        try:
            canary |= await publish_versions(self.state, "prod", artifacts)
            self.state.show(canary_version=canary[api], published=dict(canary))
            await smoke(self.state, canary)
            ladder = Ladder(self.state, baseline[api], canary[api])
            tell_shifting(self.state, ladder.baseline, ladder.canary)
            await ladder.climb()
            for name, alias in baseline.items():
                if name != api:  # what nobody calls directly follows once the API is through
                    summary = f"{alias.function} → version {canary[name]}"
                    await shift(alias, alias.version, canary[name], 1.0, summary)
                    self.state.stop_if_aborted()
            await ladder.settle()
            self.state.red_before = ladder.progress.preexisting_alarms
            await disarm_alarms(ladder.watched)
            self.state.stop_if_aborted()  # it was taken in: a result that was ready hides it
        except (Ended, FailureError, asyncio.CancelledError) as end:
            await uninterrupted(roll_back(self.state, baseline, canary))
            if canary:
                watched = Ladder(self.state, baseline[api], canary[api]).watched
                await uninterrupted(disarm_alarms(watched))
            if isinstance(end, Ended):  # judged; an abort says nothing of the commit
                await uninterrupted(quarantine(self.state, end.reason))
            raise

    def _end_without_verdict(self, error: BaseException) -> BaseException | None:
        """Aborted, cancelled or failed: nothing was judged; what the workflow's close shows, if it
        does not simply complete.
        """
        abort = self.state.aborted
        if not is_cancelled_exception(error):
            self.state.end(Outcome.FAILED, root_cause(error))
            failure = ApplicationError(f"failed: {root_cause(error)}")
            failure.__cause__ = error
            return failure
        if abort is None:
            self.state.end(Outcome.ABORTED, "cancelled in Temporal")
            return asyncio.CancelledError()
        self.state.end(Outcome.ABORTED, f"aborted by {abort.by}: {abort.reason}")
        return None

    def _result(self) -> PromotionResult:
        status = self.state.status
        assert status.outcome is not None  # noqa: S101  every way out of run sets it
        return PromotionResult(
            outcome=status.outcome,
            reason=status.reason,
            sha=status.sha,
            version=status.version,
            weight=status.weight,
            steps=status.steps,
        )

    @workflow.query(description="Everything known of this promotion")
    def status(self) -> PromotionStatus:
        """Everything known of this promotion."""
        return self.state.status

    # Signals are the door that the Temporal UI can always reach; updates are the same door with an
    # answer to the sender. Both take anything, refuse by a record that people see, and never fail
    # the workflow's task.

    @workflow.signal(description='Let it into production: {"approver": "you", "comment": "…"}')
    async def approve(self, payload: Any = None, *rest: Any) -> None:
        """One approver's yes."""
        await self.inbox.approve(payload)

    @workflow.signal(description='Refuse it: {"approver": "you", "comment": "why"}')
    def reject(self, payload: Any = None, *rest: Any) -> None:
        """One approver's no."""
        self.inbox.reject(payload)

    @workflow.signal(
        description='Answer a manual item: {"item": "…", "by": "you", "passed": true, "note": "…"}'
    )
    def sign_off(self, payload: Any = None, *rest: Any) -> None:
        """A person's answer to one manual checklist item."""
        self.inbox.sign_off(payload)

    @workflow.signal(
        description='Leave an unmeasured item open: {"item": "…", "by": "you", "reason": "…"}'
    )
    def waive(self, payload: Any = None, *rest: Any) -> None:
        """A named role's word that an inconclusive item may stay open."""
        self.inbox.waive(payload)

    @workflow.signal(
        description='Take back a sign-off, or your approval (no item): {"by": "you", "item": "…"}'
    )
    def withdraw(self, payload: Any = None, *rest: Any) -> None:
        """A sign-off or an approval is taken back, before the deploy begins."""
        self.inbox.withdraw(payload)

    @workflow.signal(description="A newer promotion has come as far: this one need not wait")
    def supersede(self, payload: Any = None, *rest: Any) -> None:
        """A newer promotion has come as far as this one that waits."""
        self.inbox.supersede(payload)

    @workflow.signal(description="The production lane's word: its own to send, not yours")
    def lane_says(self, payload: Any = None, *rest: Any) -> None:
        """The lane lets it in, or says what it waits for."""
        self.inbox.lane_says(payload)

    @workflow.signal(description='Stop and put the baseline back: {"by": "you", "reason": "why"}')
    def abort(self, payload: Any = None, *rest: Any) -> None:
        """Stop, and put the old version back if traffic has moved."""
        self.inbox.abort(payload)

    @workflow.signal(description='Hold the weight: {"by": "you", "reason": "why"}')
    def pause(self, payload: Any = None, *rest: Any) -> None:
        """The weight stays where it is, watched."""
        self.inbox.pause(payload)

    @workflow.signal(description='Go on after a pause: {"by": "you"}')
    def resume(self, payload: Any = None, *rest: Any) -> None:
        """The ladder goes on."""
        self.inbox.resume(payload)

    @workflow.signal(description='All traffic at once: {"by": "you", "reason": "why"}')
    def finish_now(self, payload: Any = None, *rest: Any) -> None:
        """No more waiting on the way to 100 %, which is still watched."""
        self.inbox.finish_now(payload)

    @workflow.update(name="approve", description="Let it into production")
    async def approve_update(self, payload: Any = None, *rest: Any) -> None:
        """One approver's yes, answered."""
        _answer(await self.inbox.approve(payload))

    @workflow.update(name="reject", description="Refuse it")
    def reject_update(self, payload: Any = None, *rest: Any) -> None:
        """One approver's no, answered."""
        _answer(self.inbox.reject(payload))

    @workflow.update(name="sign_off", description="Answer a manual checklist item")
    def sign_off_update(self, payload: Any = None, *rest: Any) -> None:
        """A person's answer to one manual checklist item, answered."""
        _answer(self.inbox.sign_off(payload))

    @workflow.update(name="waive", description="Leave open what could not be measured")
    def waive_update(self, payload: Any = None, *rest: Any) -> None:
        """A waiver, answered."""
        _answer(self.inbox.waive(payload))

    @workflow.update(name="withdraw", description="Take back a sign-off or an approval")
    def withdraw_update(self, payload: Any = None, *rest: Any) -> None:
        """A withdrawal, answered."""
        _answer(self.inbox.withdraw(payload))

    @workflow.update(name="abort", description="Stop and put the baseline back")
    def abort_update(self, payload: Any = None, *rest: Any) -> None:
        """Stop, answered."""
        _answer(self.inbox.abort(payload))

    @workflow.update(name="pause", description="Hold the weight")
    def pause_update(self, payload: Any = None, *rest: Any) -> None:
        """Hold the weight, answered."""
        _answer(self.inbox.pause(payload))

    @workflow.update(name="resume", description="Go on after a pause")
    def resume_update(self, payload: Any = None, *rest: Any) -> None:
        """Go on, answered."""
        _answer(self.inbox.resume(payload))

    @workflow.update(name="finish_now", description="All traffic at once, still watched")
    def finish_now_update(self, payload: Any = None, *rest: Any) -> None:
        """All traffic at once, answered."""
        _answer(self.inbox.finish_now(payload))


async def _settled(promotion: "asyncio.Task[None]") -> None:
    """The promotion has ended, however: its rollback is through."""
    promotion.cancel()
    await asyncio.gather(promotion, return_exceptions=True)


def _answer(reason: str | None) -> None:
    if reason is not None:
        raise ApplicationError(reason, type="Refused", non_retryable=True)

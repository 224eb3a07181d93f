"""The day after a release: watched for an hour, then looked at in rounds; nothing is forgotten."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    # by name and first of all: workflows/promotion.py says why
    import release.checklist
    import release.deployment
    import release.incident
    import release.message
    import release.policy
    import release.promotion
    import release.records
    import release.sequential
    import release.verdict  # noqa: F401
    from activities.inputs import WatchInput, WatchSeen
    from activities.post_deploy import PostDeploy
    from release.channels import Event
    from release.post_deploy import (
        Action,
        PostDeployRequest,
        PostDeployResult,
        PostDeployStatus,
        Stretch,
        WatchOutcome,
    )
    from release.promotion import Stage
    from release.rollback import RollbackResult
    from release.verdict import Verdict

from release.policy import alarm_period_seconds
from release.post_deploy import (
    CONFIRM_AFTER,
    LOOK_EVERY,
    harm,
    items_until,
    judge_day,
    next_action,
    rollback_of,
    schedule,
    seen,
    unseen,
)
from release.text import code
from workflows import options
from workflows.notices import About, send
from workflows.post_deploy_details import markdown
from workflows.rollback import RollbackWorkflow
from workflows.state import OUTCOME, STAGE, page

WATCHING = "watching"
"""The search attribute `ReleaseStage` meanwhile."""


@workflow.defn
class PostDeployWorkflow:
    """Watches a release that has all of production's traffic; every look is an activity's."""

    @workflow.init
    def __init__(self, request: PostDeployRequest) -> None:
        self.request = request
        self.red_before = request.red_before
        self.failing: frozenset[str] = frozenset()
        self._status = PostDeployStatus(
            workflow_id=workflow.info().workflow_id,
            service=request.promotion.policy.service,
            sha=request.promotion.sha,
            version=request.promotion.version,
            until=request.ends_at,
            items=unseen(request.policy),
        )

    @workflow.run
    async def run(self, request: PostDeployRequest) -> PostDeployResult:
        """The day is over, or was cut short: gone back, or another release serves."""
        for stretch in schedule(request.policy):
            found = await self._look(stretch)
            if found is None:
                continue
            action = next_action(request, workflow.now(), found.results, found.superseded)
            if action is Action.END:
                return self._end(WatchOutcome.SUPERSEDED, f"production serves {found.superseded}")
            if action is Action.ROLL_BACK:
                return await self._roll_back(found.release_before, harm(found.results))
            await self._page(found)
        return self._end(*judge_day(self._status.items, self._status.told))

    async def _look(self, stretch: Stretch) -> WatchSeen | None:
        """What the stretch's last look saw; None where the policy has nothing to look at."""
        items = items_until(self.request.policy, stretch.window)
        ends = self.request.released_at + stretch.ends
        if stretch.is_round:
            self._show(window=stretch.window, next=f"the next look is at {ends:%Y-%m-%d %H:%M} UTC")
            await workflow.sleep(max(ends - workflow.now(), timedelta(0)), summary="next round")
        if not items:
            return None
        self._show(window=stretch.window, next=f"watched all the time until {ends:%H:%M} UTC")
        found = await workflow.execute_activity_method(
            PostDeploy.watch_production,
            self._order(stretch, tuple(dict.fromkeys(item.auto for item in items))),
            summary=f"{stretch.window}: {len(items)} items, until {ends:%H:%M} UTC",
            **options.watch_production(stretch.ends - stretch.begins),
        )
        self.red_before = found.red_before
        self._show(items=seen(self._status.items, found.results, found.at))
        return found

    def _order(self, stretch: Stretch, checks: tuple[str, ...]) -> WatchInput:
        request, promotion = self.request, self.request.promotion
        policy, factor = promotion.policy, promotion.clock_factor
        return WatchInput(
            service=policy.service,
            environment="prod",
            sha=promotion.sha,
            version=promotion.version,
            checks=checks,
            functions=policy.function_names("prod"),
            api=policy.api,
            alias=policy.alias,
            table=policy.table_name("prod"),
            limits=policy.checklist.limits,
            alarm_period_seconds=alarm_period_seconds(factor),
            published=request.published,
            baseline=request.baseline,
            released_at=request.released_at,
            until=request.released_at + stretch.ends,
            span=stretch.span(factor),
            look_every=LOOK_EVERY / factor,
            confirm_after=CONFIRM_AFTER / factor,
            red_before=self.red_before,
        )

    async def _roll_back(self, before: str, reason: str) -> PostDeployResult:
        """Production serves the version before again; the incident it leaves tells people."""
        self._show(next="all traffic back to the old version")
        order = rollback_of(self.request, before, f"after the release: {reason}")
        try:
            result = await workflow.execute_child_workflow(
                RollbackWorkflow.run,
                order,
                id=f"rollback/{order.service}",
                # a watch that is cancelled meanwhile leaves no rollback half done
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                static_summary=f"{order.service} back to {order.release}: {reason}"[:200],
            )
        except WorkflowAlreadyStartedError:
            return self._end(WatchOutcome.SUPERSEDED, "a rollback is under way already")
        except ChildWorkflowError as failure:
            result = RollbackResult(aliases=(), failures=(str(failure.cause or failure),))
        said = [*result.failures, *result.warnings]
        if said:
            await self._tell(
                "was not rolled back whole",
                [f"Seen: {code(reason, 400)}", *(f"- {code(line, 400)}" for line in said)],
            )
        if result.failures:
            self._show(told=(*self._status.told, reason))
            return self._end(WatchOutcome.HARM, f"not all rolled back: {'; '.join(said)}")
        return self._end(WatchOutcome.ROLLED_BACK, reason)

    async def _page(self, found: WatchSeen) -> None:
        """People know of harm that was not there at the last look; they decide."""
        failed = [result for result in found.results if result.verdict is Verdict.FAILED]
        new = tuple(result for result in failed if result.id not in self.failing)
        self.failing = frozenset(result.id for result in failed)
        if not new:
            return
        text = harm(new)
        self._show(told=(*self._status.told, f"{workflow.now():%Y-%m-%d %H:%M} UTC: {text}"))
        await self._tell(
            "does harm, and waits for your decision",
            [f"- {code(result.text)}: {code(result.evidence, 400)}" for result in new]
            + [
                "",
                "The first hour is over, so nothing was rolled back. To go back: "
                '`starter.py rollback --reason "…"`. To mend it forward: '
                "`starter.py promote <commit>`.",
            ],
        )

    async def _tell(self, what: str, lines: list[str]) -> None:
        promotion = self.request.promotion
        about = About(
            sha=promotion.sha,
            version=promotion.version,
            promotion=promotion.workflow_id,
            address=page(self.request.temporal_ui),
        )
        title = f"{promotion.policy.service} {promotion.version} {what}"
        await send(promotion.policy, about, Event.POST_DEPLOY_HARM, title, "\n".join(lines))

    def _show(self, **facts: Any) -> None:
        self._status = self._status.model_copy(update=facts)
        workflow.set_current_details(markdown(self._status))

    def _end(self, outcome: WatchOutcome, reason: str) -> PostDeployResult:
        self._show(outcome=outcome, reason=reason, next="")
        workflow.upsert_search_attributes(
            [STAGE.value_set(Stage.DONE.value), OUTCOME.value_set(outcome.value)]
        )
        return PostDeployResult(
            outcome=outcome, reason=reason, sha=self._status.sha, items=self._status.items
        )

    @workflow.query(description="Everything known of the day after")
    def status(self) -> PostDeployStatus:
        """Everything known of the day after."""
        return self._status

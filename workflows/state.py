"""What a running promotion knows, and how it shows it: query, search attributes, UI details."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from release.change_set import InfrastructureStatus
    from release.checklist import Answers, ItemState
    from release.evidence import Evidence
    from release.promotion import (
        Artifact,
        InboxRecord,
        Outcome,
        PromotionRequest,
        PromotionStatus,
        Stage,
    )
    from release.votes import RoleStanding, Vote

from release.answers import derived, states
from release.decisions import Abort, Decision, Pause, Supersession
from release.ladder import rungs
from release.quorum import roles_asked, standing
from workflows.details import markdown
from workflows.lane_seat import LaneSeat
from workflows.metrics import count_end

SERVICE = SearchAttributeKey.for_keyword("ReleaseService")
SHA = SearchAttributeKey.for_keyword("ReleaseSha")
VERSION = SearchAttributeKey.for_keyword("ReleaseVersion")
STAGE = SearchAttributeKey.for_keyword("ReleaseStage")
OUTCOME = SearchAttributeKey.for_keyword("ReleaseOutcome")


class Ended(Exception):
    """The promotion is over, by a judgement or by a person's word."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Busy(Ended):
    """Somebody else moves production's traffic; when that is over this may go on."""

    def __init__(self, reason: str) -> None:
        super().__init__(Outcome.NEEDS_FIX, reason)


class PromotionState:
    """The facts of one promotion; the steps and the inbox change it, people read it."""

    def __init__(self, request: PromotionRequest) -> None:
        self.request = request
        self.policy = request.policy
        self.artifacts: dict[str, Artifact] = {}
        self.answers = Answers()
        self.votes: dict[str, Vote] = {}
        self.rejected: Decision | None = None
        self.superseded: Supersession | None = None
        self.aborted: Abort | None = None
        self.rollback_target: dict[str, str] = {}
        self.last_drill = ""
        self.announced_at: datetime | None = None
        self.asked_for: Answers | None = None
        self.counted_reviews: list[str] = []
        self.temporal_ui = ""
        self.red_before: tuple[str, ...] = ()
        self.is_admitted = False
        self.stopping = False
        self.is_deploying = False
        self.lane = LaneSeat(request.policy.service)
        self.paused: Pause | None = None
        self.finish_now = False
        self._asides: set[asyncio.Task[Any]] = set()
        self.status = PromotionStatus(
            workflow_id=request.workflow_id,
            service=request.policy.service,
            sha=request.sha,
            version=request.version,
            requested_by=request.requested_by,
            stage=Stage.BUILD,
            stage_since=workflow.now(),
            infrastructure=InfrastructureStatus() if request.policy.infrastructure else None,
            ladder=tuple(rung.canary_weight for rung in rungs(request.policy.shift)),
        )

    # --- what is known ---

    def quorum(self) -> list[RoleStanding]:
        """The roles asked, and who fills them so far."""
        return standing(self.policy.approval, tuple(self.votes), major=self.request.is_major)

    def items(self) -> tuple[ItemState, ...]:
        """Both checklists, each item with its answer as it stands now."""
        checklist = self.policy.checklist
        approvals = {role.role: role.approved_by for role in self.quorum()}

        def all_states(answers: Answers) -> tuple[ItemState, ...]:
            return states(checklist.staging, checklist.pre_production, answers, approvals)

        follows = derived(all_states(self.answers), self.answers)
        results = {**self.answers.results, **follows}
        return all_states(self.answers.model_copy(update={"results": results}))

    def gating_items(self) -> tuple[ItemState, ...]:
        """The items that have to be done before anybody is asked to approve."""
        given = {item.id for item in self.policy.checklist.items() if item.approval}
        return tuple(state for state in self.items() if state.id not in given)

    def evidence(self) -> Evidence:
        """What an approval given now would be given for."""
        infrastructure = self.status.infrastructure
        return Evidence(
            sha=self.request.sha,
            version=self.request.version,
            running_version=self.request.running_version,
            requested_by=self.request.requested_by,
            changes=self.request.changes,
            authors=self.request.authors,
            artifacts={name: artifact.sha256 for name, artifact in self.artifacts.items()},
            tests=self.status.tests,
            items=self.gating_items(),
            rollback_target=self.rollback_target,
            infrastructure=infrastructure.prod if infrastructure else None,
            infrastructure_waivers=infrastructure.waivers if infrastructure else (),
            policy=self.policy,
            hotfix=self.request.hotfix,
        )

    def has_changed(self) -> bool:
        """Whether any answer changed since the approvers were asked: answers are replaced whole."""
        return self.asked_for is not self.answers

    # --- how it goes on ---

    def enter(self, stage: Stage, next_: str, deadline: datetime | None = None) -> None:
        """The promotion is in `stage`, visibly: search attribute, details, query."""
        if stage is not Stage.ROLLBACK:
            self.stop_if_aborted()
            self.end_if_over()
        if stage is not self.status.stage:  # each upsert is an event of history
            workflow.upsert_search_attributes([STAGE.value_set(stage.value)])
            self.show(stage=stage, stage_since=workflow.now())
        self.show(next=next_, deadline=deadline)

    def stop_if_aborted(self) -> None:
        """Stops the promotion if an abort came while its last step ended.

        A cancellation that meets a result which is ready already is swallowed; this is not.

        Raises:
            asyncio.CancelledError: there was an abort, or Temporal cancelled the promotion.
        """
        if self.stopping:
            raise asyncio.CancelledError

    async def wait(
        self, condition: Callable[[], bool], longest: timedelta | None, summary: str
    ) -> None:
        """The condition holds.

        Raises:
            TimeoutError: it did not become true in time.
            Ended: the release was rejected or superseded meanwhile.
            asyncio.CancelledError: it was aborted.
        """
        await workflow.wait_condition(
            lambda: condition() or self.stopping or self._is_over(),
            timeout=longest,
            timeout_summary=summary,
        )
        self.stop_if_aborted()
        self.end_if_over()

    def end_if_over(self) -> None:
        """Raises Ended if the release was rejected or superseded."""
        if self.rejected is not None:
            because = f": {self.rejected.comment}" if self.rejected.comment else ""
            raise Ended(Outcome.REJECTED, f"rejected by {self.rejected.approver}{because}")
        if self.superseded is not None:
            by = f"{self.superseded.by} {self.superseded.version}".strip()
            raise Ended(Outcome.SUPERSEDED, f"superseded by {by}")

    def _is_over(self) -> bool:
        return self.rejected is not None or self.superseded is not None

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """The work goes on beside the promotion, which neither waits for it nor fails by it."""
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    # --- how it is shown ---

    def show(self, **facts: Any) -> None:
        """Replace facts of the status and the Markdown that the Temporal UI shows."""
        self.status = self.status.model_copy(update=facts)
        workflow.set_current_details(markdown(self.status, self.request))

    def refresh(self, **facts: Any) -> None:
        """As `show`, with the checklist and the quorum as they stand now."""
        self.show(
            items=self.items(),
            quorum=tuple(self.quorum()),
            votes=tuple(self.votes.values()),
            **facts,
        )

    def note(self, kind: str, by: str, refusal: str | None, text: str) -> None:
        """A message that was taken in, applied or refused, stands in the record."""
        record = InboxRecord(
            at=workflow.now(),
            kind=kind,
            by=by or "unknown",
            accepted=refusal is None,
            text=refusal or text,
        )
        inbox = (*self.status.inbox, record)
        if refusal is None:
            self.refresh(inbox=inbox)
        else:  # a thousand refusals in one task must not take the task's two seconds
            self.show(inbox=inbox)

    def end(self, outcome: Outcome, reason: str, report: str = "") -> None:
        """The promotion is over; says so once more at every place where people look."""
        stage = Stage.DONE
        self.show(
            stage=stage,
            outcome=outcome,
            reason=reason,
            next="nothing",
            deadline=None,
            report=report,
        )
        updates: list[SearchAttributeUpdate[Any]] = [
            STAGE.value_set(stage.value),
            OUTCOME.value_set(outcome.value),
        ]
        workflow.upsert_search_attributes(updates)
        count_end(self.policy.service, outcome.value)


def role_names(state: PromotionState) -> str:
    """The roles that this release needs, in words."""
    asked = roles_asked(state.policy.approval, major=state.request.is_major)
    return ", ".join(role.replace("_", " ") for role in asked)


def address(state: PromotionState) -> str:
    """The promotion's page in the Temporal UI; empty where none is known."""
    return page(state.temporal_ui)


def page(temporal_ui: str) -> str:
    """The running workflow's page in the Temporal UI; empty where none is known."""
    if not temporal_ui:
        return ""
    escaped = workflow.info().workflow_id.replace("/", "%2F")
    return f"{temporal_ui}/namespaces/{workflow.info().namespace}/workflows/{escaped}"

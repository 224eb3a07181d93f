"""What a running promotion knows, and how it shows it: query, search attributes, UI details."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from release.message import Message
    from release.promotion import (
        InboxRecord,
        Outcome,
        PromotionRequest,
        PromotionStatus,
        Stage,
    )

from release.decisions import (
    Abort,
    Decision,
    SignOff,
    read_payload,
    refuse_decision,
    refuse_sign_off,
)
from workflows.details import markdown

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


class PromotionState:
    """The facts of one promotion; the steps change it, people read it."""

    def __init__(self, request: PromotionRequest) -> None:
        self.request = request
        self.policy = request.policy
        self.decision: tuple[bool, Decision] | None = None
        self.sign_offs: dict[str, SignOff] = {}
        self.aborted: Abort | None = None
        self.stopping = False
        self.status = PromotionStatus(
            workflow_id=request.workflow_id,
            service=request.policy.service,
            sha=request.sha,
            version=request.version,
            requested_by=request.requested_by,
            stage=Stage.BUILD,
            stage_since=workflow.now(),
            ladder=tuple(step.canary_weight for step in request.policy.shift.steps),
        )

    def enter(self, stage: Stage, next_: str, deadline: datetime | None = None) -> None:
        """The promotion is in `stage`, visibly: search attribute, details, query."""
        if stage is not Stage.ROLLBACK:
            self.stop_if_aborted()
        self.show(stage=stage, stage_since=workflow.now(), next=next_, deadline=deadline)
        workflow.upsert_search_attributes([STAGE.value_set(stage.value)])

    def stop_if_aborted(self) -> None:
        """Stops the promotion if an abort came while its last step ended.

        A cancellation that meets a result which is ready already is swallowed; this is not.

        Raises:
            asyncio.CancelledError: there was an abort, or Temporal cancelled the promotion.
        """
        if self.stopping:
            raise asyncio.CancelledError

    def show(self, **facts: Any) -> None:
        """Replace facts of the status and the Markdown that the Temporal UI shows."""
        self.status = self.status.model_copy(update=facts)
        workflow.set_current_details(markdown(self.status, self.request))

    def end(self, outcome: Outcome, reason: str) -> None:
        """The promotion is over; says so once more at every place where people look."""
        stage = Stage.DONE
        self.show(stage=stage, outcome=outcome, reason=reason, next="nothing", deadline=None)
        updates: list[SearchAttributeUpdate[Any]] = [
            STAGE.value_set(stage.value),
            OUTCOME.value_set(outcome.value),
        ]
        workflow.upsert_search_attributes(updates)

    # --- the inbox: what people send ---

    def decide(self, approved: bool, payload: Any) -> str | None:
        """An approval or a rejection is recorded; the reason if it is refused."""
        kind = "approve" if approved else "reject"

        def apply(decision: Decision) -> str | None:
            refusal = refuse_decision(self.request, decision) or self._closed(kind)
            if refusal is None:
                self.decision = (approved, decision)
            return refusal

        return self._receive(kind, Decision, payload, apply)

    def sign_off(self, payload: Any) -> str | None:
        """A sign-off is recorded; the reason if it is refused."""

        def apply(sign_off: SignOff) -> str | None:
            refusal = refuse_sign_off(self.policy, sign_off) or self._closed("sign-off")
            if refusal is None:
                self.sign_offs[sign_off.item] = sign_off
            return refusal

        return self._receive("sign-off", SignOff, payload, apply)

    def abort(self, payload: Any) -> str | None:
        """The promotion stops; the reason if it is already over."""

        def apply(abort: Abort) -> str | None:
            if self.status.outcome is not None:
                return f"the promotion has already ended: {self.status.outcome.value}"
            self.aborted = self.aborted or abort
            self.stopping = True
            return None

        return self._receive("abort", Abort, payload, apply)

    def why_refused(self, kind: type[Message], payload: Any, approved: bool = True) -> str | None:
        """What `decide`, `sign_off` or `abort` would answer; records nothing (for validators)."""
        message = read_payload(kind, payload)
        if isinstance(message, str):
            return message
        if isinstance(message, Decision):
            kind_name = "approve" if approved else "reject"
            return refuse_decision(self.request, message) or self._closed(kind_name)
        if isinstance(message, SignOff):
            return refuse_sign_off(self.policy, message) or self._closed("sign-off")
        return None

    def _closed(self, kind: str) -> str | None:
        if self.status.outcome is not None:
            return f"the promotion has already ended: {self.status.outcome.value}"
        if kind == "sign-off":
            return None
        if self.decision is not None:
            approved, decision = self.decision
            verb = "approved" if approved else "rejected"
            return f"already {verb} by {decision.approver}; use abort to stop the release"
        return None

    def _receive(
        self,
        kind: str,
        model: type[Any],
        payload: Any,
        apply: Callable[[Any], str | None],
    ) -> str | None:
        message = read_payload(model, payload)
        by, refusal = "unknown", message if isinstance(message, str) else None
        if not isinstance(message, str):
            by = message.approver if isinstance(message, Decision) else message.by
            refusal = apply(message)
        record = InboxRecord(
            at=workflow.now(),
            kind=kind,
            by=by,
            accepted=refusal is None,
            text=refusal or _said(message),
        )
        self.show(inbox=(*self.status.inbox, record))
        return refusal


def _said(message: Any) -> str:
    if isinstance(message, Decision):
        return message.comment
    if isinstance(message, SignOff):
        return f"{message.item}: {'passed' if message.passed else 'failed'}. {message.note}".strip()
    return str(message.reason)

"""The promotion's inbox: every message of a person is applied or refused, and stands in the record.

The Temporal UI lets anything through, so each message is read leniently and judged here; nothing
raises, for a failed workflow task would freeze the promotion.
"""

from collections.abc import Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from release.change_set import InfrastructureWaiver
    from release.checklist import Signature, Waiver
    from release.evidence import SHORT, is_for
    from release.policy import Strategy
    from release.promotion import Stage
    from release.votes import Proof, Vote

from release.decisions import (
    Abort,
    Decision,
    FinishNow,
    Pause,
    Resume,
    SignOff,
    Supersession,
    Waive,
    Withdrawal,
    read_payload,
    refuse_decision,
    refuse_finish_now,
    refuse_infrastructure_waiver,
    refuse_sign_off,
    refuse_waiver,
)
from release.infrastructure import ITEM
from workflows.state import PromotionState
from workflows.steps.prove import Proved, prove

# A guesser is stopped by the store of the codes; this bounds the history of one promotion.
MOST_PROOFS = 30


class Inbox:
    """Takes messages in; each method returns why the message was refused, or None."""

    def __init__(self, state: PromotionState) -> None:
        self._state = state
        self._proofs = 0
        self._proving: dict[str, int] = {}  # by whom: the number of the proof

    async def approve(self, payload: Any) -> str | None:
        """One approver's yes, or one that GitHub has."""
        decision = read_payload(Decision, payload)
        if isinstance(decision, str):
            return self._note("approve", "", decision)
        state = self._state
        if not state.is_admitted:  # how approvals are proved is the first thing that is asked
            await workflow.wait_condition(
                lambda: state.is_admitted or state.status.outcome is not None
            )
        return await self._approve(decision)

    async def _approve(self, decision: Decision) -> str | None:
        by = decision.approver
        refusal = self._refuse_vote(decision)
        if refusal is not None:
            return self._note("approve", by, refusal)
        if decision.code or decision.github_run is not None:
            proved = await self._prove(decision)
            if isinstance(proved, str):
                return self._note("approve", by, proved)
        elif self._state.status.proof_needed:
            return self._note("approve", by, _NEEDS_PROOF)
        else:
            proved = [Proved(name=by, proof=Proof.CLAIM)]
        refusals = [self._vote(decision, one) for one in proved]
        return next((refusal for refusal in refusals if refusal), None)

    async def _prove(self, decision: Decision) -> list[Proved] | str:
        """Who it is, by a code or by GitHub; or why that could not be said."""
        key = decision.approver or f"run {decision.github_run}"
        if key in self._proving:
            return "a proof of yours is being checked; wait for its answer"
        if self._proofs >= MOST_PROOFS:
            return f"{MOST_PROOFS} proofs were checked for this promotion; abort it and ask why"
        self._proofs += 1
        number = self._proving[key] = self._proofs
        proved = await prove(self._state, decision, number)
        if self._proving.get(key) != number:
            return "it was withdrawn while its proof was checked"
        del self._proving[key]
        return proved

    def _vote(self, decision: Decision, proved: Proved) -> str | None:
        """The vote counts, if it still may: a proof takes time, in which things can change."""
        state = self._state
        mine = decision.model_copy(update={"approver": proved.name})
        refusal = self._refuse_vote(mine)
        if refusal is None:
            state.votes[proved.name] = Vote(
                approver=proved.name,
                at=workflow.now(),
                proof=proved.proof,
                comment=proved.comment or decision.comment,
                digest=state.status.digest,
                link=proved.link,
            )
        said = f"{proved.comment or decision.comment} ({proved.proof.value})".strip()
        return self._note("approve", proved.name, refusal, said)

    def _refuse_vote(self, decision: Decision) -> str | None:
        state, digest = self._state, self._state.status.digest
        closed = self._closed()
        if closed:
            return closed
        named_by_github = decision.github_run is not None and not decision.approver
        refusal = None if named_by_github else refuse_decision(state.request, decision)
        if refusal:
            return refusal
        if decision.approver in state.votes:
            return f"{decision.approver} has approved already"
        if decision.digest and not digest:
            return "nobody was asked yet, so there is no evidence with that digest"
        if decision.digest and not is_for(decision.digest, digest):
            return f"that was for other evidence; now it is {digest[:SHORT]}: look again"
        return None

    def reject(self, payload: Any) -> str | None:
        """One approver's no. It stops, which is safe, so it needs no proof."""

        def apply(decision: Decision) -> str | None:
            refusal = self._closed() or refuse_decision(self._state.request, decision)
            if refusal is None:
                self._state.rejected = decision
            return refusal

        return self._receive("reject", Decision, payload, apply)

    def sign_off(self, payload: Any) -> str | None:
        """A person's answer to one manual item."""

        def apply(sign_off: SignOff) -> str | None:
            refusal = (
                self._closed()
                or refuse_sign_off(self._state.policy, sign_off)
                or self._signed_by_another(sign_off)
            )
            if refusal is None:
                signature = Signature(
                    by=sign_off.by,
                    at=workflow.now(),
                    passed=sign_off.passed,
                    note=sign_off.note,
                    link=sign_off.link,
                )
                self._answer(signatures={sign_off.item: signature})
            return refusal

        return self._receive("sign-off", SignOff, payload, apply)

    def _signed_by_another(self, sign_off: SignOff) -> str | None:
        signature = self._state.answers.signatures.get(sign_off.item)
        if signature is None or signature.by == sign_off.by:
            return None
        return f"{sign_off.item} was answered by {signature.by}, who alone may change it"

    def waive(self, payload: Any) -> str | None:
        """An item that could not be measured is left open."""

        def apply(waive: Waive) -> str | None:
            state = self._state
            if waive.item == ITEM:
                return self._closed() or self._waive_infrastructure(waive)
            refusal = self._closed() or refuse_waiver(state.policy, state.items(), waive)
            if refusal is None:
                waiver = Waiver(by=waive.by, at=workflow.now(), reason=waive.reason)
                self._answer(waivers={waive.item: waiver})
            return refusal

        return self._receive("waive", Waive, payload, apply)

    def _waive_infrastructure(self, waive: Waive) -> str | None:
        state, known = self._state, self._state.status.infrastructure
        refusal = refuse_infrastructure_waiver(state.policy, known, waive)
        if refusal is None and known is not None:
            waiver = InfrastructureWaiver(
                by=waive.by, at=workflow.now(), reason=waive.reason, covers=known.objections
            )
            waived = known.model_copy(update={"waivers": (*known.waivers, waiver)})
            state.show(infrastructure=waived)
        return refusal

    def withdraw(self, payload: Any) -> str | None:
        """A sign-off or an approval is taken back."""

        def apply(withdrawal: Withdrawal) -> str | None:
            return self._closed() or (
                self._withdraw_signature(withdrawal)
                if withdrawal.item
                else self._withdraw_vote(withdrawal)
            )

        return self._receive("withdraw", Withdrawal, payload, apply)

    def _withdraw_signature(self, withdrawal: Withdrawal) -> str | None:
        state, item = self._state, withdrawal.item
        signatures = dict(state.answers.signatures)
        standing = signatures.pop(item, None)
        if standing is None:
            return f"{item!r} has no sign-off"
        if standing.by != withdrawal.by:
            return f"{item!r} was signed off by {standing.by}, who alone may withdraw it"
        state.answers = state.answers.model_copy(update={"signatures": signatures})
        return None

    def _withdraw_vote(self, withdrawal: Withdrawal) -> str | None:
        if self._proving.pop(withdrawal.by, None) is not None:
            return None  # what is being proved will not count
        if self._state.votes.pop(withdrawal.by, None) is None:
            return f"{withdrawal.by} has not approved"
        return None

    def supersede(self, payload: Any) -> str | None:
        """A newer promotion has come as far as this one that waits."""

        def apply(supersession: Supersession) -> str | None:
            refusal = self._closed()
            if refusal is None:
                self._state.superseded = supersession
            return refusal

        return self._receive("supersede", Supersession, payload, apply)

    def lane_says(self, payload: Any) -> str | None:
        """The production lane lets this one in, or says what it waits for."""
        state = self._state
        refusal = state.lane.hear(payload)
        says = state.lane.says
        said = "let in" if says is None or says.granted else says.text
        if refusal is None and state.status.stage is Stage.LANE:
            state.show(next=f"{state.status.next.partition(';')[0]}; {said}")
        return self._note("lane", "the production lane", refusal, said)

    def abort(self, payload: Any) -> str | None:
        """The promotion stops, and puts back what it moved."""

        def apply(abort: Abort) -> str | None:
            state = self._state
            if state.status.outcome is not None:
                return f"the promotion has already ended: {state.status.outcome.value}"
            state.aborted = state.aborted or abort
            state.stopping = True
            return None

        return self._receive("abort", Abort, payload, apply)

    def pause(self, payload: Any) -> str | None:
        """The weight is held."""

        def apply(pause: Pause) -> str | None:
            state = self._state
            if state.paused is not None:
                return f"already paused by {state.paused.by}"
            refusal = self._by_codedeploy() or self._not_shifting()
            if refusal is None:
                state.paused = pause
            return refusal

        return self._receive("pause", Pause, payload, apply)

    def resume(self, payload: Any) -> str | None:
        """The ladder goes on."""

        def apply(_: Resume) -> str | None:
            if self._state.paused is None:
                return self._by_codedeploy() or "it is not paused"
            self._state.paused = None
            return None

        return self._receive("resume", Resume, payload, apply)

    def finish_now(self, payload: Any) -> str | None:
        """All traffic on the new version at once."""

        def apply(finish: FinishNow) -> str | None:
            state = self._state
            refusal = (
                self._by_codedeploy()
                or self._not_shifting()
                or refuse_finish_now(state.policy, finish)
            )
            if refusal is None:
                state.finish_now, state.paused = True, None
            return refusal

        return self._receive("finish-now", FinishNow, payload, apply)

    def _by_codedeploy(self) -> str | None:
        if self._state.policy.shift.strategy is not Strategy.CODEDEPLOY:
            return None
        return (
            "AWS CodeDeploy shifts the traffic of this release: it can neither be paused nor "
            "hurried, only stopped; abort does that"
        )

    def _not_shifting(self) -> str | None:
        status = self._state.status
        if status.outcome is not None:
            return f"the promotion has already ended: {status.outcome.value}"
        if self._state.stopping or status.stage is not Stage.SHIFT:
            return f"no traffic is being shifted: the promotion is in {status.stage.value}"
        return None

    def _closed(self) -> str | None:
        state = self._state
        if state.status.outcome is not None:
            return f"the promotion has already ended: {state.status.outcome.value}"
        if state.rejected is not None:
            return f"already rejected by {state.rejected.approver}"
        if state.superseded is not None:
            return f"superseded by {state.superseded.by}"
        if state.is_deploying:
            return "the deploy has begun; use abort to stop the release"
        return None

    def _answer(self, **new: dict[str, Any]) -> None:
        state = self._state
        known = {name: {**getattr(state.answers, name), **more} for name, more in new.items()}
        state.answers = state.answers.model_copy(update=known)

    def _receive(
        self,
        kind: str,
        model: type[Any],
        payload: Any,
        apply: Callable[[Any], str | None],
    ) -> str | None:
        message = read_payload(model, payload)
        if isinstance(message, str):
            return self._note(kind, "", message)
        by = message.approver if isinstance(message, Decision) else message.by
        return self._note(kind, by, apply(message), _said(message))

    def _note(self, kind: str, by: str, refusal: str | None, text: str = "") -> str | None:
        self._state.note(kind, by, refusal, text)
        return refusal


_NEEDS_PROOF = (
    'a name alone does not count here: add your one-time code as "code", or approve in GitHub '
    'and send {"github_run": <id of the workflow run>}'
)


def _said(message: Any) -> str:
    if isinstance(message, Decision):
        return message.comment
    if isinstance(message, SignOff):
        said = f"{message.item}: {'passed' if message.passed else 'failed'}. {message.note}"
        return f"{said} {message.link}".strip()
    if isinstance(message, Waive):
        return f"{message.item}: {message.reason}"
    if isinstance(message, Withdrawal):
        return message.item or "my approval"
    if isinstance(message, Supersession):
        return message.version
    if isinstance(message, Resume):
        return ""
    return str(message.reason)

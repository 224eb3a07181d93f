"""The production lane: one workflow of a service moves production at a time, in a fair order.

An entity workflow that never ends: it goes on as a new run when its history has grown.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    # by name and first of all: workflows/promotion.py says why
    import release.message
    import release.policy
    import release.promotion
    import release.windows  # noqa: F401
    from activities.inputs import ClaimsInput, CompareInput
    from activities.lane import Lanes
    from release.lane import (
        Claim,
        FreezeLane,
        Lane,
        LaneStatus,
        Leave,
        Priority,
        Says,
        UnfreezeLane,
        Waiting,
    )

from release import lane_rules as rules
from release.decisions import Supersession, read_payload
from workflows import options
from workflows.lane_details import markdown

LOOK_EVERY = timedelta(minutes=2)
"""How often it is looked whether those that hold the lane still live."""


@workflow.defn
class ProductionLaneWorkflow:
    """Who moves production of one service, who waits, and what holds them."""

    @workflow.init
    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.told: dict[tuple[str, int], Says] = {}
        self.to_compare: list[Claim] = []
        self.look_at = workflow.now() + LOOK_EVERY
        self.has_news = True

    @workflow.run
    async def run(self, lane: Lane) -> None:
        """Goes on as a new run that knows all that this one knew; no message is lost between."""
        if not lane.begun:
            await self._begin()
        while True:
            self.has_news = False
            await self._compare()
            await self._tell()
            if self.has_news:  # it came while the others were told
                continue
            if workflow.info().is_continue_as_new_suggested():
                break
            await self._rest()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self.lane)

    async def _begin(self) -> None:
        """Before anybody is let in: who moves production already holds the lane."""
        moving = await workflow.execute_activity_method(
            Lanes.find_moving,
            ClaimsInput(service=self.lane.service),
            summary="which promotion moves production already?",
            **options.RECORD,
        )
        self._become(rules.adopt(self.lane, moving, workflow.now()))

    async def _compare(self) -> None:
        """Of two that wait, the one that the other contains gives way to it."""
        while self.to_compare:
            claim = self.to_compare.pop(0)
            others = tuple(one.sha for one in self.lane.queue if one.sha and one.sha != claim.sha)
            if not others or rules.find(self.lane, claim) is None:
                continue
            try:
                found = await workflow.execute_activity_method(
                    Lanes.compare_commits,
                    CompareInput(sha=claim.sha, others=others),
                    summary=f"which commits contain {claim.what}?",
                    **options.NOTICE,
                )
            except ActivityError as failure:  # then each keeps its place
                self._note("compare", claim.what, f"{failure.cause or failure}")
                continue
            for sha in found.older:
                await self._give_way(sha, claim.sha)
            for sha in found.newer:
                await self._give_way(claim.sha, sha)

    async def _give_way(self, older_sha: str, newer_sha: str) -> None:
        queue = {one.sha: one for one in self.lane.queue}
        older, newer = queue.get(older_sha), queue.get(newer_sha)
        if older is None or newer is None:  # let in or gone meanwhile
            return
        self._become(rules.give_way(self.lane, older, newer, workflow.now()))
        message = Supersession(by=newer.workflow, version=newer.what)
        await self._signal(older, "supersede", message)

    async def _tell(self) -> None:
        """Everyone knows their place; one that cannot be told is gone."""
        now, telling = workflow.now(), []
        for claim in filter(_listens, (*self.lane.holders, *self.lane.queue)):
            word = rules.says(self.lane, claim, now)
            if self.told.get(_key(claim)) != word:
                self.told[_key(claim)] = word
                telling.append(self._tell_one(claim, word))
        await asyncio.gather(*telling)  # twenty that move up are one task of this workflow

    async def _tell_one(self, claim: Claim, word: Says) -> None:
        if not await self._signal(claim, "lane_says", word):
            self._gone(claim)

    async def _rest(self) -> None:
        """Until a message comes, time lets somebody in, or the holders are to be looked at."""
        now = workflow.now()
        wakes = rules.wakes_at(self.lane, now)
        times = [time for time in (wakes, self.look_at if self.lane.holders else None) if time]
        pause = max(min(times) - now, timedelta(0)) if times else None
        try:
            await workflow.wait_condition(
                lambda: self.has_news,
                timeout=pause,
                timeout_summary="somebody may be let in" if wakes else "do the holders live?",
            )
        except TimeoutError:
            if self.lane.holders and workflow.now() >= self.look_at:
                await self._look()
            self._become(self.lane)

    async def _look(self) -> None:
        """Whoever ended without a word is out."""
        everyone = (*self.lane.holders, *self.lane.queue)
        self.look_at = workflow.now() + LOOK_EVERY
        try:
            gone = await workflow.execute_activity_method(
                Lanes.find_gone,
                ClaimsInput(service=self.lane.service, claims=everyone),
                summary="do those in the lane still live?",
                **options.NOTICE,
            )
        except ActivityError as failure:
            self._note("look", "the lane", f"{failure.cause or failure}")
            return
        for claim in gone:
            self._gone(claim)

    def _gone(self, claim: Claim) -> None:
        leaving = Leave(workflow=claim.workflow, run=claim.run, ticket=claim.ticket)
        now = workflow.now()
        self._become(rules.leave(self.lane, leaving, now, "it ended without a word"))

    async def _signal(self, claim: Claim, name: str, message: Any) -> bool:
        """Whether the workflow was there to be told."""
        try:
            await workflow.get_external_workflow_handle(claim.workflow).signal(name, message)
        except ApplicationError:
            return False
        return True

    def _become(self, lane: Lane) -> None:
        """The lane is so, and whoever may be let in then is."""
        now = workflow.now()
        if not self.lane.holders:
            self.look_at = now + LOOK_EVERY
        self.lane = rules.settle(lane, now)
        known = {_key(claim) for claim in (*self.lane.holders, *self.lane.queue)}
        self.told = {key: word for key, word in self.told.items() if key in known}
        self.has_news = True
        workflow.set_current_details(markdown(self.status()))

    def _note(self, kind: str, by: str, refusal: str) -> None:
        self._become(rules.note(self.lane, workflow.now(), kind, by, refusal, accepted=False))

    # --- what people ask and send ---

    @workflow.query(description="Who moves production, who waits, and why")
    def status(self) -> LaneStatus:
        """Who moves production, who waits, and why."""
        now = workflow.now()
        waiting = (
            Waiting(claim=claim, text=rules.why(self.lane, claim, now)) for claim in self.lane.queue
        )
        return LaneStatus(lane=self.lane, waiting=tuple(waiting))

    @workflow.update(description="A workflow wants to move production")
    def join(self, payload: Any = None, *rest: Any) -> Says:
        """The claim has its place; what the lane says of it."""
        claim = read_payload(Claim, payload)
        if isinstance(claim, str):
            self._note("join", "", claim)
            raise ApplicationError(claim, type="Refused", non_retryable=True)
        now = workflow.now()
        if rules.find(self.lane, claim) is None:
            self._become(rules.join(self.lane, claim, now))
            if claim.sha:
                self.to_compare.append(claim)
        known = rules.find(self.lane, claim)
        if known is None:
            raise ApplicationError("it has left already", type="Refused", non_retryable=True)
        word = rules.says(self.lane, known, now)
        self.told[_key(claim)] = word  # the answer is the word: no signal is needed
        return word

    @workflow.signal(description="A workflow moves production no more")
    def leave(self, payload: Any = None, *rest: Any) -> None:
        """The next may be let in."""
        leaving = read_payload(Leave, payload)
        if isinstance(leaving, str):
            self._note("leave", "", leaving)
        else:
            self._become(rules.leave(self.lane, leaving, workflow.now()))

    @workflow.signal(
        description='Only rollbacks go in: {"by": "you", "reason": "why"}; "until" is a time in UTC'
    )
    def freeze(self, payload: Any = None, *rest: Any) -> None:
        """Nothing but rollbacks gets into production."""
        self._freeze(payload)

    @workflow.signal(description='Lift the freeze: {"by": "you", "reason": "why"}')
    def unfreeze(self, payload: Any = None, *rest: Any) -> None:
        """The freeze is lifted."""
        self._unfreeze(payload)

    @workflow.update(name="freeze", description="Let nothing in but rollbacks")
    def freeze_update(self, payload: Any = None, *rest: Any) -> LaneStatus:
        """Frozen, answered: who holds the lane goes on."""
        _answer(self._freeze(payload))
        return self.status()

    @workflow.update(name="unfreeze", description="Lift the freeze")
    def unfreeze_update(self, payload: Any = None, *rest: Any) -> LaneStatus:
        """Lifted, answered."""
        _answer(self._unfreeze(payload))
        return self.status()

    def _freeze(self, payload: Any) -> str | None:
        def text(freeze: FreezeLane) -> str:
            return rules.frozen(freeze)

        return self._receive("freeze", FreezeLane, payload, rules.refuse_freeze, text)

    def _unfreeze(self, payload: Any) -> str | None:
        def text(unfreeze: UnfreezeLane) -> str:
            return unfreeze.reason

        return self._receive("unfreeze", UnfreezeLane, payload, rules.refuse_unfreeze, text)

    def _receive(
        self,
        kind: str,
        model: type[Any],
        payload: Any,
        refuse: Callable[[Lane, Any, Any], str | None],
        text: Callable[[Any], str],
    ) -> str | None:
        message, now = read_payload(model, payload), workflow.now()
        refusal = message if isinstance(message, str) else refuse(self.lane, message, now)
        by = "" if isinstance(message, str) else message.by
        if refusal is not None:
            self._note(kind, by, refusal)
            return refusal
        lane = rules.note(self.lane, now, kind, by, text(message))
        freeze = message if isinstance(message, FreezeLane) else None
        self._become(lane.model_copy(update={"freeze": freeze}))
        return None


def _key(claim: Claim) -> tuple[str, int]:
    return claim.workflow, claim.ticket


def _listens(claim: Claim) -> bool:
    """A rollback waits for no word; one that was found moving has not asked for one."""
    return claim.priority is not Priority.ROLLBACK and claim.ticket > 0


def _answer(refusal: str | None) -> None:
    if refusal is not None:
        raise ApplicationError(refusal, type="Refused", non_retryable=True)

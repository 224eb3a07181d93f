"""A workflow's own place in the production lane: taken, kept, told of, and given back."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.inputs import JoinInput
    from activities.lane import Lanes
    from release.lane import Claim, Leave, Priority, Says, lane_id
    from release.windows import Windows

from release.decisions import read_payload
from workflows import options


class LaneSeat:
    """One workflow's seat; each time that it comes back it takes a new ticket."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._ticket = 0
        self._claim: Claim | None = None
        self.says: Says | None = None

    @property
    def is_held(self) -> bool:
        """Whether this workflow alone moves production."""
        return self.says is not None and self.says.granted

    def take(
        self,
        what: str,
        priority: Priority,
        *,
        sha: str = "",
        windows: Windows | None = None,
        moves: bool = True,
    ) -> None:
        """A new ticket is drawn; `ask` shows it to the lane."""
        info = workflow.info()
        self._ticket += 1
        self.says = None
        self._claim = Claim(
            workflow=info.workflow_id,
            run=info.first_execution_run_id,
            ticket=self._ticket,
            what=what,
            sha=sha,
            priority=priority,
            since=workflow.now(),
            windows=windows or Windows(),
            moves=moves,
        )

    async def ask(self, **limits: Any) -> None:
        """The lane knows the claim, also one that has forgotten it; `says` is its answer."""
        assert self._claim is not None  # noqa: S101  `take` comes first
        says = await workflow.execute_activity_method(
            Lanes.join_lane,
            JoinInput(service=self._service, claim=self._claim),
            summary=f"a place in the production lane of {self._service}",
            **(limits or options.LANE),
        )
        if not self.is_held:  # a word may have come while this answer was on its way
            self.says = says

    def hear(self, payload: Any) -> str | None:
        """A word of the lane is taken in; or why it is not."""
        word = read_payload(Says, payload)
        if isinstance(word, str):
            return word
        claim = self._claim
        if claim is None or (word.run, word.ticket) != (claim.run, claim.ticket):
            return "it is not for a claim that stands"
        self.says = word
        return None

    async def leave(self) -> None:
        """The next may be let in. A lane that is gone has forgotten this workflow anyway."""
        claim, self._claim, self.says = self._claim, None, None
        if claim is None:
            return
        lane = workflow.get_external_workflow_handle(lane_id(self._service))
        leaving = Leave(workflow=claim.workflow, run=claim.run, ticket=claim.ticket)
        try:
            await lane.signal("leave", leaving)
        except ApplicationError as failure:
            workflow.logger.warning("the lane was not told: %s", failure)

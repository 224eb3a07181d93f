"""The way to the production lane, which is the real workflow on the same simulated server."""

from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.inputs import ClaimsInput, Compared, CompareInput, JoinInput
from release.lane import Claim, Lane, Says, lane_id
from tests.simulation.clockwork import Clockwork
from tests.simulation.temporal_server import CONVERTER, Execution

_PATIENCE_SECONDS = 30
LANE = "ProductionLaneWorkflow"


@dataclass
class SimulatedLanes:
    """As `activities/lane.py`, with Temporal's client left out."""

    clock: Clockwork
    server: Any = None
    joins: int = 0

    @activity.defn
    def join_lane(self, order: JoinInput) -> Says:
        self.clock.sleep(self.clock.delay(0.01, 1))
        lane = self._lane(order.service)
        self.joins += 1
        update = f"join-{self.joins}"
        lane.update("join", update, CONVERTER.to_payloads([order.claim]))
        until = self.clock.now + _PATIENCE_SECONDS
        while not lane.updates[update].startswith(("completed", "rejected")):
            if self.clock.now > until:
                raise RuntimeError("the lane does not answer")
            self.clock.sleep(0.2)
        if lane.updates[update].startswith("rejected"):
            raise ApplicationError(lane.updates[update], type="Refused", non_retryable=True)
        says: Says = CONVERTER.from_payloads([lane.answers[update]], [Says])[0]
        return says

    @activity.defn
    def compare_commits(self, order: CompareInput) -> Compared:
        self.clock.sleep(self.clock.delay(0.1, 2))
        return Compared(older=(), newer=())

    @activity.defn
    def find_gone(self, order: ClaimsInput) -> tuple[Claim, ...]:
        self.clock.sleep(self.clock.delay(0.01, 1))
        found = [self.server.executions.get(claim.workflow) for claim in order.claims]
        pairs = zip(order.claims, found, strict=True)
        return tuple(claim for claim, one in pairs if one is None or one.closed)

    @activity.defn
    def find_moving(self, order: ClaimsInput) -> tuple[Claim, ...]:
        self.clock.sleep(self.clock.delay(0.01, 1))
        return ()

    def _lane(self, service: str) -> Execution:
        found = self.server.executions.get(lane_id(service))
        if found is None or found.closed:
            payloads = CONVERTER.to_payloads([Lane(service=service)])
            found = self.server.start(LANE, lane_id(service), payloads)
        return found

"""One run of the whole: the real workflows, the real traffic, and everything that a plan holds."""

import contextlib
import io
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from activities.deploy import Deploy
from activities.shift_step import ShiftSteps
from activities.traffic import Traffic as AliasTraffic
from activities.watch import Watch
from release.lane import LaneStatus, lane_id
from release.lease import Hand, Note
from release.policy import Checklist, Policy, parse_policy
from release.promotion import PromotionRequest, PromotionStatus
from tests.service.service_parts import load_lambda
from tests.simulation import plan as plans
from tests.simulation.clockwork import START, Clockwork
from tests.simulation.cloud import (
    API,
    FETCHER,
    Client,
    CloudWatchBackend,
    LambdaBackend,
    Traffic,
    Weather,
)
from tests.simulation.plan import Happening, Plan
from tests.simulation.scripted import Places, Scripted
from tests.simulation.simulated_lane import SimulatedLanes
from tests.simulation.simulated_worker import SimulatedWorker
from tests.simulation.temporal_server import CONVERTER, Execution, Server
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow

ROOT = Path(__file__).parents[2]
SHA = "a" * 40
GUARD_EVERY = 60.0
LONGEST = 3 * 86400.0
SETTLED = 300.0
_WORKFLOWS = {
    workflow.__name__: workflow
    for workflow in (
        ProductionLaneWorkflow,
        PromotionWorkflow,
        RecordWorkflow,
        PostDeployWorkflow,
        RollbackWorkflow,
        IncidentWorkflow,
    )
}
_guard = load_lambda("guard")


@cache
def policy(shift: str) -> Policy:
    """The project's own policy, with one channel and a short ladder."""
    whole = (ROOT / "release.toml").read_text()
    notify = '[[notify]]\nkind = "webhook"\nname = "team"\nurl_secret = "x/y"\n\n'
    begin = whole.index("[functions.api]")
    ladder = f"[shift]\n{plans.SHIFTS[shift]}{plans.SHIFT_REST}"
    text = whole[:begin] + notify + whole[begin : whole.index("[shift]")] + ladder
    whole_policy = parse_policy(text)
    return whole_policy.model_copy(update={"checklist": _short(whole_policy.checklist)})


def _short(checklist: Checklist) -> Checklist:
    """Items of every kind, and no more: half of a run's time went into showing all of them."""
    kept = {
        name: {
            section: chosen
            for section, items in getattr(checklist, name).items()
            if (chosen := tuple(i for i in items if i.manual or i.approval or i.id in _MEASURED))
        }
        for name in ("staging", "pre_production")
    }
    return checklist.model_copy(update=kept)


_MEASURED = {"cache", "memory", "tests", "lint", "deployed", "staging-validation", "team-notified"}


@dataclass
class Sent:
    """A message that somebody sent, and whether the server took it."""

    at: float
    say: plans.Say
    taken: bool
    update_id: str = ""


@dataclass
class Run:
    """What one plan led to."""

    plan: Plan
    clock: Clockwork
    server: Server
    lambda_: LambdaBackend
    cloudwatch: CloudWatchBackend
    places: Places
    weather: Weather
    promotion: Execution
    worker: SimulatedWorker
    sent: list[Sent] = field(default_factory=list)
    stages: list[tuple[float, str]] = field(default_factory=list)
    foreign: list[Any] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)  # the promotion's, as it asked for them
    closed_at: float = 0.0
    problem: str = ""
    status: PromotionStatus | None = None
    lane: LaneStatus | None = None
    worker_down: list[tuple[float, float]] = field(default_factory=list)

    def serves(self, function: str) -> Any:
        """The alias's last write."""
        return self.lambda_.last(function)

    def troubles(self, service: str) -> list[tuple[float, float]]:
        """The service's troubles, from when until when."""
        return [(begin, end) for name, begin, end in self.weather.all if name == service]

    def baseline(self, function: str) -> str:
        """The version that the promotion recorded as what to put back."""
        name = "api" if function == API else "fetcher"
        return self.status.baseline.get(name, "1") if self.status else "1"

    @property
    def canary(self) -> str:
        """The new version's number, in both functions."""
        return "2"


def run(plan: Plan) -> Run:
    """The plan has happened; nothing of it is left in memory but what is returned."""
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), Clockwork(plan.seed) as clock:
            return _Director(plan, clock).run()
    finally:
        logging.disable(logging.NOTSET)


class _Director:
    def __init__(self, plan: Plan, clock: Clockwork) -> None:
        self.plan, self.clock = plan, clock
        self._known: set[str] = set()
        weather = Weather(clock)
        lambda_ = LambdaBackend(clock)
        self.traffic = Traffic(
            plan.requests_per_second,
            plans.QUALITIES[plan.quality],
            crashes=plan.quality == "crashes",
        )
        cloudwatch = CloudWatchBackend(clock, lambda_, self.traffic)
        places = Places(clock)
        boto_lambda = Client(clock, weather, "lambda", lambda_)
        boto_cloudwatch = Client(clock, weather, "cloudwatch", cloudwatch)
        traffic = AliasTraffic(boto_lambda)
        watch = Watch(boto_cloudwatch)
        scripted = Scripted(clock, plan, places, weather)
        real = {
            "record_baseline": traffic.record_baseline,
            "shift_traffic": traffic.shift_traffic,
            "roll_back": traffic.roll_back,
            "point_alias": traffic.point_alias,
            "publish_version": Deploy(boto_lambda).publish_version,
            "shift_step": ShiftSteps(traffic, boto_cloudwatch).shift_step,
            "arm_alarms": watch.arm_alarms,
            "disarm_alarms": watch.disarm_alarms,
        }
        told = {
            name: getattr(scripted, name)
            for name in dir(Scripted)
            if hasattr(getattr(Scripted, name), "__temporal_activity_definition")
        }
        lanes = SimulatedLanes(clock)
        lane = {
            name: getattr(lanes, name)
            for name in ("join_lane", "compare_commits", "find_gone", "find_moving")
        }
        worker = SimulatedWorker(clock, real | told | lane)
        server = Server(clock, _WORKFLOWS, worker.start, self._see, self._schedules)
        lanes.server = server
        self.request = PromotionRequest(
            sha=SHA, version="1.2.3", requested_by="dora", policy=policy(plan.shift)
        )
        promotion = server.start(
            "PromotionWorkflow",
            self.request.workflow_id,
            CONVERTER.to_payloads([self.request]),
        )
        self.run_ = Run(
            plan, clock, server, lambda_, cloudwatch, places, weather, promotion, worker
        )
        self._guard = _guard.app.Guard(
            _guard.app.Config.from_environment(
                {
                    "FUNCTIONS": f"{API},{FETCHER}",
                    "ALIAS": "live",
                    "ALARMS": "crypto-watch-backend-prod-lambda-errors,"
                    "crypto-watch-backend-prod-api-5xx",
                    "AWS_LAMBDA_FUNCTION_NAME": "crypto-watch-guard-prod",
                }
            ),
            boto_lambda,
            boto_cloudwatch,
            lambda: datetime.fromtimestamp(clock.now, UTC),
        )

    def run(self) -> Run:
        run, clock = self.run_, self.clock
        clock.after(clock.delay(1, GUARD_EVERY), self._guard_looks)
        self._reach("start")
        self._reach("build")
        try:
            self._until_settled()
            if self.plan.seed % 4 == 0:  # after every death of a worker it was replayed in any case
                run.promotion.replay()
            lane = run.server.executions.get(lane_id(self.request.policy.service))
            if lane is not None and lane.tasks:
                run.lane = LaneStatus.model_validate(lane.query("status"))
            if run.promotion.tasks:
                run.status = PromotionStatus.model_validate(run.promotion.query("status"))
        except AssertionError as error:
            run.problem = f"{type(error).__name__}: {error}"
        for execution in run.server.executions.values():
            execution.end()
        return run

    def _until_settled(self) -> None:
        run = self.run_
        while True:
            if run.closed_at == 0.0 and run.promotion.closed:
                run.closed_at = self.clock.now
            back = max((end for _, end in run.worker_down), default=0.0)
            quiet_since = max(run.closed_at, run.weather.last_end, back)
            is_quiet = run.closed_at and self.clock.now > quiet_since + SETTLED
            if is_quiet and self._is_recorded():
                return
            if self.clock.now > START + LONGEST:
                run.problem = f"not ended after {LONGEST / 86400:.0f} days"
                return
            if not self.clock.step():
                run.problem = "stuck: nothing will ever happen"
                return

    def _is_recorded(self) -> bool:
        if self.run_.promotion.closed == "terminated":
            return True
        records = [e for e in self.run_.server.executions.values() if e.name == "RecordWorkflow"]
        return all(record.closed for record in records)

    def _see(self, execution: Execution, attributes: dict[str, Any]) -> None:
        stage = attributes.get("ReleaseStage")
        if execution is self.run_.promotion and stage:
            self._reach(stage if isinstance(stage, str) else stage[0])

    def _reach(self, stage: str) -> None:
        self.run_.stages.append((self.clock.now, stage))
        self.clock.tell(f"stage {stage}")
        self._let_happen(stage)
        if stage == "start" and self.plan.people_decide:
            self._people()

    def _schedules(self, execution: Execution, activity: str) -> None:
        if execution is self.run_.promotion:
            self.run_.activities.append(activity)
        self._let_happen(activity)

    def _let_happen(self, moment: str) -> None:
        if moment in self._known:
            return
        self._known.add(moment)
        for happening in self.plan.happenings:
            if happening.stage == moment:
                self.clock.after(happening.after, lambda one=happening: self._happen(one))

    def _people(self) -> None:
        plan = self.plan
        chosen = policy(plan.shift)
        for number, item in enumerate(item for item in chosen.checklist.items() if item.manual):
            by = chosen.approval.roles[item.manual[0]].people[0]
            say = plans.Say("sign_off", ({"item": item.id, "by": by},))
            self.clock.after(plan.sign_off_after + number, lambda one=say: self._say(one))
        for number, name in enumerate(("alice", "bob")):
            payload = {"approver": name, "comment": "go"}
            if plan.needs_codes:
                payload["code"] = f"code of {name}"
            say = plans.Say("approve", (payload,), is_update=bool(number))
            self.clock.after(plan.approve_after + 2 * number, lambda one=say: self._say(one))

    def _guard_looks(self) -> None:
        self.clock.after(GUARD_EVERY, self._guard_looks)
        self.clock.spawn("guard", lambda: self._guard.run({}), lambda _: None)

    # --- what happens ---

    def _happen(self, happening: Happening) -> None:
        what = happening.what
        getattr(self, f"_{_snake(type(what).__name__)}")(what)

    def _say(self, what: plans.Say) -> None:
        run = self.run_
        payloads = CONVERTER.to_payloads(list(what.payloads)) if what.payloads else []
        update_id = ""
        if what.is_update:
            update_id = f"u{len(run.sent)}"
            taken = run.promotion.update(what.name, update_id, payloads)
        else:
            taken = run.promotion.signal(what.name, payloads)
        kind = "update" if what.is_update else "signal"
        late = "" if taken else " (the workflow is closed)"
        self.clock.tell(f"{kind} {what.name} {what.payloads}{late}")
        run.sent.append(Sent(self.clock.now, what, taken, update_id))

    def _worker_dies(self, what: plans.WorkerDies) -> None:
        run = self.run_
        if run.server.is_worker_down:
            return
        self.clock.tell(f"the worker dies, for {what.seconds:.0f} s")
        run.worker_down.append((self.clock.now, self.clock.now + what.seconds))
        run.server.worker_dies()
        run.worker.die()
        self.clock.after(what.seconds, self._worker_is_back)

    def _worker_is_back(self) -> None:
        self.clock.tell("a worker is back")
        self.run_.server.worker_is_back()

    def _worker_freezes(self, what: plans.WorkerFreezes) -> None:
        self.clock.tell(f"the running attempts freeze, for {what.seconds:.0f} s")
        self.run_.worker.freeze(what.seconds)

    def _bad(self, what: plans.Bad) -> None:
        self.clock.tell(f"{what.service} {what.trouble.value}, for {what.seconds:.0f} s")
        self.run_.weather.bring(what.service, what.trouble, what.seconds)

    def _alarm_red(self, what: plans.AlarmRed) -> None:
        self.clock.tell(f"an alarm is red, for {what.seconds:.0f} s")
        self.traffic.forced_red.append((self.clock.now, self.clock.now + what.seconds))

    def _incident(self, what: plans.Incident) -> None:
        self.clock.tell(f"both versions fail, for {what.seconds:.0f} s")
        self.traffic.incidents.append((self.clock.now, self.clock.now + what.seconds))

    def _foreign_write(self, what: plans.ForeignWrite) -> None:
        function = API if what.function == "api" else FETCHER
        alias = self.run_.serves(function)
        new = {
            "third": ("9", {}, ""),
            "split": ("1", {"9": 0.3}, ""),
            "same": (alias.version, dict(alias.weights), alias.description),
            "baseline": ("1", {}, ""),
        }[what.kind]
        self._write("carol by hand", function, *new)

    def _break_glass(self, _: plans.BreakGlass) -> None:
        for function in (API, FETCHER):
            alias = self.run_.serves(function)
            undone = ",".join(v for v in (alias.version, *dict(alias.weights)) if v != "1")
            note = Note(
                hand=Hand.BREAK_GLASS,
                by="carol",
                reason="customers call",
                at=datetime.fromtimestamp(self.clock.now, UTC),
                undone=undone,
            )
            self._write("carol, glass broken", function, "1", {}, note.to_description())

    def _write(self, by: str, function: str, version: str, weights: Any, text: str) -> None:
        self.run_.lambda_.update_alias(
            by,
            FunctionName=function,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
            Description=text,
        )
        self.run_.foreign.append(self.run_.serves(function))

    def _cancel(self, _: plans.Cancel) -> None:
        self.clock.tell("cancelled in Temporal")
        self.run_.promotion.request_cancel()

    def _terminate(self, _: plans.Terminate) -> None:
        if not self.run_.promotion.closed:
            self.run_.promotion.terminate()


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

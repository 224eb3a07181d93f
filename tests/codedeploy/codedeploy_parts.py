"""A small CodeDeploy over HTTP that really moves an alias, and what else of AWS a shift meets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment

from activities.codedeploy import CodeDeploy
from activities.inputs import AlarmsInput, DeploymentInput, Progress, StepInput
from activities.measure import floor
from activities.traffic import Traffic
from release.lease import Lease
from release.policy import Shift, Strategy
from release.promotion import AliasState

FUNCTION, OLD, NEW = "crypto-watch-api-prod", "1", "2"
ROLE = "arn:aws:iam::123456789012:role/codedeploy"
PROMOTION = "promotion/crypto-watch/aaaaaaaaaaaa/run-1"
_TARGET = "CodeDeploy_20141006."
_MODEL = botocore.session.get_session().get_service_model("codedeploy")


def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    """The condition holds; fails when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


class Alias:
    """Lambda's side: one alias, with real `RevisionId` checks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state: dict[str, Any] = {}
        self.write(OLD, {}, Description="")

    def write(self, version: str, weights: dict[str, float], **more: str) -> dict[str, Any]:
        with self.lock:
            revision = str(int(self.state.get("RevisionId", "0")) + 1)
            self.state |= {
                "FunctionVersion": version,
                "RoutingConfig": {"AdditionalVersionWeights": weights},
                "RevisionId": revision,
            } | more
            return dict(self.state)

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        assert (FunctionName, Name) == (FUNCTION, "live")
        with self.lock:
            return dict(self.state)

    def update_alias(
        self, FunctionVersion: str, RoutingConfig: Any, RevisionId: str, Description: str, **_: Any
    ) -> dict[str, Any]:
        if RevisionId != self.state["RevisionId"]:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
        weights = RoutingConfig["AdditionalVersionWeights"]
        return self.write(FunctionVersion, weights, Description=Description)

    def serves(self) -> dict[str, float]:
        weights = dict(self.state["RoutingConfig"]["AdditionalVersionWeights"])
        return {self.state["FunctionVersion"]: 1 - sum(weights.values())} | weights


class CloudWatch:
    """Alarms and counts: a hundred requests of each version in every bucket."""

    def __init__(self) -> None:
        self.red: list[str] = []
        self.failing: set[str] = set()
        self.is_down = False

    def describe_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        self._answer()
        states = {True: "ALARM", False: "OK"}
        found = [{"AlarmName": n, "StateValue": states[n in self.red]} for n in AlarmNames]
        return {"MetricAlarms": found}

    def get_paginator(self, _: str) -> "CloudWatch":
        return self

    def paginate(
        self, MetricDataQueries: list[dict[str, Any]], StartTime: datetime, EndTime: datetime
    ) -> list[dict[str, Any]]:
        self._answer()
        seconds = MetricDataQueries[0]["MetricStat"]["Period"]
        count = round((EndTime - StartTime).total_seconds()) // seconds
        times = [StartTime + timedelta(seconds=n * seconds) for n in range(count)]
        results = [
            {"Id": q["Id"], "Timestamps": times, "Values": [self._value(q)] * count}
            for q in MetricDataQueries
        ]
        return [{"MetricDataResults": results}]

    def _value(self, query: dict[str, Any]) -> float:
        metric = query["MetricStat"]["Metric"]
        version = {d["Name"]: d["Value"] for d in metric["Dimensions"]}["ExecutedVersion"]
        if metric["MetricName"] == "Requests":
            return 100
        return 50 if metric["MetricName"] == "ServerErrors" and version in self.failing else 0

    def _answer(self) -> None:
        if self.is_down:
            raise ClientError({"Error": {"Code": "InternalFailure"}}, "DescribeAlarms")


class Refuse(Exception):
    """An error as CodeDeploy answers it."""


class CodeDeployStandIn:
    """CodeDeploy's control plane; traffic moves when a test says so.

    Every request is held to botocore's own model. A stop with rollback begins a second deployment,
    which puts the alias back once `rollback_may_end` is set.
    """

    def __init__(self, alias: Alias) -> None:
        self.alias = alias
        self.lock = threading.RLock()
        self.groups: dict[str, dict[str, Any]] = {}
        self.applications: dict[str, str] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.specs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[tuple[str, int, str, bool]] = []  # operation, status, code, after the act
        self.last_good = OLD  # what a rollback deploys: its own last success, whatever was served
        self.rollback_may_end = threading.Event()
        self.rollback_may_end.set()

    # --- what a test tells it ---

    def shift(self, weight: float) -> None:
        """The running deployment brings the canary to the weight."""
        self.alias.write(*((NEW, {}) if weight == 1 else (OLD, {NEW: weight})))

    def succeed(self) -> None:
        self.shift(1)
        self._running()["status"] = "Succeeded"

    def alarm(self) -> None:
        """An alarm of the group goes red."""
        self.end("Stopped", "ALARM_ACTIVE", "One or more alarms have been activated")

    def end(self, status: str, code: str, message: str) -> None:
        """The running deployment ends badly, and CodeDeploy rolls it back."""
        with self.lock:
            info = self._running()
            error = {"code": code, "message": message}
            info |= {"status": status, "errorInformation": error}
            back = self._new("InProgress", creator="codeDeployRollback")
            back["rollbackInfo"] = {"rollbackTriggeringDeploymentId": info["deploymentId"]}
            info["rollbackInfo"] = {
                "rollbackDeploymentId": back["deploymentId"],
                "rollbackMessage": "Rolled back to the last version.",
            }
        threading.Thread(target=self._roll_back, args=(back,), daemon=True).start()

    def begin_foreign(self) -> None:
        """Somebody deploys to the group by hand."""
        self._new("InProgress", description="by hand")

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one kind, in order."""
        return [request for name, request in self.requests if name == operation]

    def is_over(self) -> bool:
        with self.lock:
            return all(not self._is_open(info) for info in self.deployments.values())

    # --- the operations ---

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        shape = _MODEL.operation_model(operation).input_shape
        errors = ParamValidator().validate(request, shape)
        if errors.has_errors():
            raise Refuse("ValidationException", errors.generate_report())
        with self.lock:
            self.requests.append((operation, request))
            return dict(getattr(self, f"_{xform_name(operation)}")(**request) or {})

    def _create_application(self, applicationName: str, computePlatform: str) -> None:
        if applicationName in self.applications:
            raise Refuse("ApplicationAlreadyExistsException", applicationName)
        self.applications[applicationName] = computePlatform

    def _create_deployment_group(
        self, applicationName: str, deploymentGroupName: str, **settings: Any
    ) -> dict[str, Any]:
        if deploymentGroupName in self.groups:
            raise Refuse("DeploymentGroupAlreadyExistsException", deploymentGroupName)
        if len(settings["alarmConfiguration"]["alarms"]) > 10:
            raise Refuse("AlarmsLimitExceededException", "at most 10")
        self.groups[deploymentGroupName] = settings
        return {"deploymentGroupId": "g-1"}

    def _update_deployment_group(
        self, applicationName: str, currentDeploymentGroupName: str, **settings: Any
    ) -> None:
        self.groups[currentDeploymentGroupName] |= settings

    def _create_deployment(
        self,
        applicationName: str,
        deploymentGroupName: str,
        revision: dict[str, Any],
        description: str,
    ) -> dict[str, Any]:
        self._group(deploymentGroupName)
        if any(self._is_open(info) for info in self.deployments.values()):
            raise Refuse("DeploymentLimitExceededException", "one deployment at a time")
        info = self._new("InProgress", description=description)
        self.specs[info["deploymentId"]] = json.loads(revision["appSpecContent"]["content"])
        return {"deploymentId": info["deploymentId"]}

    def _list_deployments(
        self,
        applicationName: str,
        deploymentGroupName: str,
        createTimeRange: dict[str, float],
        nextToken: str = "0",
    ) -> dict[str, Any]:
        self._group(deploymentGroupName)
        start, size = int(nextToken), 1  # a page each: nothing hides behind the first one
        found = [
            identity
            for identity, info in self.deployments.items()
            if info["createTime"] >= createTimeRange["start"]
        ]
        more = {"nextToken": str(start + size)} if start + size < len(found) else {}
        return {"deployments": found[start : start + size]} | more

    def _batch_get_deployments(self, deploymentIds: list[str]) -> dict[str, Any]:
        return {"deploymentsInfo": [self.deployments[identity] for identity in deploymentIds]}

    def _get_deployment(self, deploymentId: str) -> dict[str, Any]:
        return {"deploymentInfo": self.deployments[deploymentId]}

    def _stop_deployment(self, deploymentId: str, autoRollbackEnabled: bool) -> dict[str, Any]:
        if not self._is_open(self.deployments[deploymentId]):
            raise Refuse("DeploymentAlreadyCompletedException", deploymentId)
        assert autoRollbackEnabled
        self.end("Stopped", "MANUAL_STOP", "The deployment was stopped")
        return {"status": "Pending"}

    # --- within ---

    def _group(self, name: str) -> None:
        if name not in self.groups:
            raise Refuse("DeploymentGroupDoesNotExistException", name)

    def _new(self, status: str, **more: Any) -> dict[str, Any]:
        identity = f"d-{len(self.deployments) + 1}"
        info = {"deploymentId": identity, "status": status, "createTime": time.time()} | more
        self.deployments[identity] = info
        return info

    def _running(self) -> dict[str, Any]:
        (info,) = (i for i in self.deployments.values() if self._is_open(i))
        return info

    def _roll_back(self, back: dict[str, Any]) -> None:
        assert self.rollback_may_end.wait(20)
        with self.lock:
            self.alias.write(self.last_good, {})
            back["status"] = "Succeeded"

    @staticmethod
    def _is_open(info: dict[str, Any]) -> bool:
        return info["status"] in {"Created", "Queued", "InProgress"}


def _handler(stand_in: CodeDeployStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            target = self.headers["X-Amz-Target"]
            assert target.startswith(_TARGET)
            operation = target.removeprefix(_TARGET)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = next((f for f in stand_in.faults if f[0] == operation), None)
            if fault:
                stand_in.faults.remove(fault)
            if fault and not fault[3]:
                self._send(fault[1], {"__type": fault[2], "message": "a fault"})
                return
            try:
                answer = stand_in.answer(operation, json.loads(body))
            except Refuse as refusal:
                code, message = refusal.args
                self._send(400, {"__type": code, "message": message})
                return
            if fault:
                self._send(fault[1], {"__type": fault[2], "message": "the answer is lost"})
                return
            self._send(200, answer)

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Running:
    """One attempt of an activity in a thread of its own, as a worker runs it."""

    def __init__(
        self, threads: ThreadPoolExecutor, activity: Callable[[Any], Any], order: Any
    ) -> None:
        self.environment = ActivityEnvironment()
        info = self.environment.info
        self.environment.info = replace(info, started_time=datetime.now(UTC))
        self.heartbeats: list[Any] = []
        self.dies_at_heartbeat: Callable[[Any], bool] = lambda _: False
        self.environment.on_heartbeat = self._heartbeat
        self.future: Future[Any] = threads.submit(self.environment.run, activity, order)

    def _heartbeat(self, *details: Any) -> None:
        self.heartbeats += details
        if details and self.dies_at_heartbeat(details[0]):
            raise RuntimeError("the worker is killed")

    def weights(self) -> list[float]:
        """The weights that it told of, in order, each once."""
        told = [beat["weight"] for beat in self.heartbeats if isinstance(beat, dict)]
        return list(dict.fromkeys(told))

    def has_judged(self) -> bool:
        """Whether it has counted requests."""
        return any(isinstance(b, dict) and b["baseline"].requests for b in self.heartbeats)

    def cancel(self, **why: bool) -> None:
        self.environment.cancel(ActivityCancellationDetails(**why))

    def result(self) -> Any:
        return self.future.result(20)


class Account:
    """One test's AWS account with a release that shifts by CodeDeploy."""

    def __init__(self, client: Any, stand_in: CodeDeployStandIn, alias: Alias) -> None:
        self.stand_in, self.alias, self.cloudwatch = stand_in, alias, CloudWatch()
        self.threads = ThreadPoolExecutor(4)
        self.attempts: list[Running] = []
        self.traffic = Traffic(alias)
        self.activities = CodeDeploy(
            client, self.traffic, self.cloudwatch, rollback_shows_within=timedelta(seconds=1)
        )

    def begin(self, order: StepInput | None = None) -> Running:
        """An attempt under way."""
        return self._run(self.activities.shift_by_codedeploy, order or self.order())

    def end(self) -> Running:
        """The end of this promotion's deployment, under way."""
        ending = DeploymentInput(service="crypto-watch", environment="prod", promotion=PROMOTION)
        return self._run(self.activities.end_deployment, ending)

    def _run(self, activity: Callable[[Any], Any], order: Any) -> Running:
        self.attempts.append(Running(self.threads, activity, order))
        return self.attempts[-1]

    def close(self) -> None:
        """What still runs ends as it does when its worker ends."""
        self.stand_in.rollback_may_end.set()
        for attempt in self.attempts:
            attempt.cancel(worker_shutdown=True)
        self.threads.shutdown()

    def begun(self, order: StepInput | None = None) -> Running:
        """An attempt that watches its deployment, and has counted something."""
        running = self.begin(order)
        until(lambda: running.has_judged() or running.future.done())
        return running

    def order(self, **shift: Any) -> StepInput:
        """Everything from version 1 to version 2, judged every second."""
        now = datetime.now(UTC)
        since = floor(now, 1) - timedelta(seconds=20)  # so that there is something to count
        holder, _, run = PROMOTION.rpartition("/")
        watched = AlarmsInput(
            service="crypto-watch",
            environment="prod",
            function=FUNCTION,
            canary=NEW,
            period_seconds=60,
        )
        return StepInput(
            watched=watched,
            expected=AliasState(
                function=FUNCTION,
                alias="live",
                version=OLD,
                revision_id=self.alias.state["RevisionId"],
                description=self.alias.state["Description"],
            ),
            baseline=OLD,
            weight=1.0,
            min_duration=timedelta(0),
            since=now,
            shift=Shift(strategy=Strategy.CODEDEPLOY, codedeploy_role=ROLE, **shift),
            progress=Progress(answers_until=since, crashes_until=since),
            lease=Lease(holder=holder, run=run, baseline=OLD, expires=now),
            bucket_seconds=1,
            crash_bucket_seconds=1,
        )


@contextmanager
def account() -> Iterator[Account]:
    """An account whose CodeDeploy listens on a port of its own."""
    alias = Alias()
    stand_in = CodeDeployStandIn(alias)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    client = boto3.client(
        "codedeploy",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "max_attempts": 3}, read_timeout=5),
    )
    found = Account(client, stand_in, alias)
    try:
        yield found
    finally:
        found.close()
        server.shutdown()
        server.server_close()
        serving.join()


def with_preexisting(order: StepInput, *alarms: str) -> StepInput:
    """The same order, with alarms that were red before the release began."""
    progress = order.progress.model_copy(update={"preexisting_alarms": alarms})
    return order.model_copy(update={"progress": progress})

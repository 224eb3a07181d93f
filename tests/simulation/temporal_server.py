"""The Temporal server's part, in virtual time, for the SDK's real workflow instances.

It takes the commands of a workflow task and feeds activations back: what Temporal's server and the
SDK's core do between them, as far as the product uses it. Whatever else is asked of it raises.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import temporalio.common
import temporalio.converter
from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import (
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.common import MetricMeter
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker._workflow_instance import (
    UnsandboxedWorkflowRunner,
    WorkflowInstanceDetails,
)

from tests.simulation.activity_run import ActivityRun, cancelled
from tests.simulation.clockwork import Clockwork

CONVERTER = pydantic_data_converter.payload_converter
FAILURES = pydantic_data_converter.failure_converter
_LOOP = asyncio.new_event_loop()  # never runs: an instance looks for one while it is made
_TRY_CANCEL, _WAIT = 0, 1


class TaskFailedError(AssertionError):
    """A workflow task failed: a real server retries it for ever, and the workflow is stuck."""


class NonDeterminismError(AssertionError):
    """A replay gave other commands than the run."""


@dataclass
class Server:
    """Every workflow of one run, and the worker that serves them all."""

    clock: Clockwork
    workflows: dict[str, type]
    start_attempt: Callable[["ActivityRun", int], Any]
    on_search_attributes: Callable[["Execution", dict[str, Any]], None] = lambda *_: None
    on_activity: Callable[["Execution", str], None] = lambda *_: None
    executions: dict[str, "Execution"] = field(default_factory=dict)
    is_worker_down: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def start(self, name: str, workflow_id: str, payloads: list[Any]) -> "Execution":
        """A running workflow."""
        execution = Execution(self, name, workflow_id, payloads)
        self.executions[workflow_id] = execution
        return execution

    def worker_dies(self) -> None:
        """No workflow is in memory, and no task that is under way is ever answered."""
        self.is_worker_down = True
        for execution in list(self.executions.values()):
            execution.forget()

    def worker_is_back(self) -> None:
        """A new worker takes what has waited."""
        self.is_worker_down = False
        waiting, self.waiting = self.waiting, []
        for start in waiting:
            self.clock.after(self.clock.delay(0.01, 2), start)
        for execution in list(self.executions.values()):
            execution.wake()


class Execution:
    """One run of a workflow: its history rebuilds it, as a real one's does."""

    def __init__(self, server: Server, name: str, workflow_id: str, payloads: list[Any]) -> None:
        self.server, self.clock = server, server.clock
        self.name, self.id = name, workflow_id
        self.run_id = f"run-{len(server.executions)}-{server.clock.seed}"
        self.closed = ""
        self.result: Any = None
        self.failure: Failure | None = None
        self.updates: dict[str, str] = {}
        self.answers: dict[str, Any] = {}
        self.replays = 0
        self.tasks = 0
        self.on_close: Callable[[Execution], None] = lambda _: None
        self.is_cancel_requested = False
        self._history: list[tuple[WorkflowActivation, list[bytes], list[int]]] = []
        self._started_at = self.clock.now
        self._arrived: list[WorkflowActivationJob] = []
        self._in_flight: list[WorkflowActivationJob] | None = None
        self._task: Any = None
        self._generation = 0
        self._instance: Any = None
        self._activities: dict[int, ActivityRun] = {}
        self._timers: dict[int, Any] = {}
        start = WorkflowActivationJob()
        init = start.initialize_workflow
        init.workflow_type, init.workflow_id, init.randomness_seed = name, workflow_id, 7
        init.arguments.extend(payloads)
        init.attempt = 1
        self.deliver(start)

    # --- what arrives ---

    def deliver(self, job: WorkflowActivationJob) -> None:
        """The job is in the next workflow task."""
        if self.closed:
            return
        self._arrived.append(job)
        self.wake()

    def signal(self, name: str, payloads: list[Any]) -> bool:
        """Whether the server took it: not for a workflow that is closed."""
        if self.closed:
            return False
        job = WorkflowActivationJob()
        job.signal_workflow.signal_name = name
        job.signal_workflow.input.extend(payloads)
        self.deliver(job)
        return True

    def update(self, name: str, update_id: str, payloads: list[Any]) -> bool:
        """Whether the server took it; its answer is in `updates` then."""
        if self.closed:
            return False
        job = WorkflowActivationJob()
        update = job.do_update
        update.name, update.id, update.protocol_instance_id = name, update_id, update_id
        update.run_validator = True
        update.input.extend(payloads)
        self.updates[update_id] = ""
        self.deliver(job)
        return True

    def request_cancel(self) -> None:
        """Once: the server keeps no second request."""
        if not self.is_cancel_requested and not self.closed:
            self.is_cancel_requested = True
            job = WorkflowActivationJob()
            job.cancel_workflow.reason = "asked for"
            self.deliver(job)

    def terminate(self) -> None:
        """Closed at once; its code runs no more."""
        self._close("terminated")

    def query(self, name: str) -> Any:
        """The answer of a query with no argument."""
        self._rebuild()
        job = WorkflowActivationJob()
        job.query_workflow.query_id, job.query_workflow.query_type = "q", name
        completion = self._instance.activate(self._activation([job]))
        (command,) = completion.successful.commands
        answer = command.respond_to_query
        assert answer.HasField("succeeded"), answer
        return CONVERTER.from_payload(answer.succeeded.response)

    # --- workflow tasks ---

    def wake(self) -> None:
        """A task comes soon, if there is anything for it."""
        if self.closed or self._task is not None or not self._arrived:
            return
        self._task = self.clock.after(self.clock.delay(0.005, 0.3), self._begin)

    def forget(self) -> None:
        """The worker that had it in memory is gone."""
        self._evict()
        self._generation += 1
        if self._in_flight is not None:
            self._arrived = self._in_flight + self._arrived
            self._in_flight = None
        if self._task is not None:
            self._task.call_off()
            self._task = None

    def _begin(self) -> None:
        self._task = None
        if self.server.is_worker_down or self.closed:
            return
        self._rebuild()
        self._in_flight, self._arrived = self._arrived, []
        jobs, rounds, commands = list(self._in_flight), [], []
        heard: set[int] = set()
        while jobs:
            activation = self._activation(jobs)
            completion = self._instance.activate(activation)
            if completion.HasField("failed"):
                raise TaskFailedError(f"{self.name}: {completion.failed.failure.message}")
            found = list(completion.successful.commands)
            flags = list(completion.successful.used_internal_flags)
            rounds.append((activation, [_bytes(command) for command in found], flags))
            commands += found
            heard |= {job.resolve_activity.seq for job in jobs}
            jobs = self._answered_at_once(found, commands, heard)
        generation = self._generation
        self._task = self.clock.after(
            self.clock.delay(0.005, 0.2), lambda: self._end(generation, rounds, commands)
        )

    def _end(self, generation: int, rounds: list[Any], commands: list[Any]) -> None:
        if generation != self._generation or self.closed:
            return
        self._task = None
        if self._arrived and any(_closes(command) for command in commands):
            self.forget()  # "unhandled command": nothing may end past a message that has come
            self.wake()
            return
        self.tasks += 1
        self._history += rounds
        self._in_flight = None
        for command in commands:
            self._take(command)
        self.wake()

    def _answered_at_once(
        self, found: list[Any], commands: list[Any], heard: set[int]
    ) -> list[WorkflowActivationJob]:
        """What core resolves itself: cancelled activities that are not waited for.

        One that ended in the same task (`heard`) is over for core.
        """
        jobs = []
        for command in found:
            if command.HasField("cancel_signal_workflow"):
                jobs += _unsent(command.cancel_signal_workflow.seq, commands)
            if not command.HasField("request_cancel_activity"):
                continue
            seq = command.request_cancel_activity.seq
            new = [
                c
                for c in commands
                if c.HasField("schedule_activity") and c.schedule_activity.seq == seq
            ]
            if new:  # never sent at all
                commands.remove(new[0])
                jobs.append(_resolved(seq, cancelled=cancelled(new[0].schedule_activity)))
            elif seq not in heard and self._activities[seq].cancellation != _WAIT:
                run = self._activities[seq]
                jobs.append(_resolved(seq, cancelled=cancelled(run.order)))
        return jobs

    def _take(self, command: Any) -> None:
        kind = command.WhichOneof("variant")
        getattr(self, f"_on_{kind}")(getattr(command, kind), command)

    def _on_start_timer(self, order: Any, _: Any) -> None:
        def fire() -> None:
            self._timers.pop(order.seq, None)
            job = WorkflowActivationJob()
            job.fire_timer.seq = order.seq
            self.deliver(job)

        seconds = order.start_to_fire_timeout.ToTimedelta().total_seconds()
        self._timers[order.seq] = self.clock.after(seconds, fire)

    def _on_cancel_timer(self, order: Any, _: Any) -> None:
        timer = self._timers.pop(order.seq, None)
        if timer is not None:
            timer.call_off()

    def _on_schedule_activity(self, order: Any, _: Any) -> None:
        self._activities[order.seq] = ActivityRun(self, order)

    def _on_request_cancel_activity(self, order: Any, _: Any) -> None:
        run = self._activities.get(order.seq)
        if run is None:
            return
        if run.cancellation != _WAIT:  # heard already; what else comes of it is nobody's
            run.is_resolved = True
            self._arrived = [job for job in self._arrived if job.resolve_activity.seq != order.seq]
        run.request_cancel()

    def _on_start_child_workflow_execution(self, order: Any, _: Any) -> None:
        def start() -> None:
            job = WorkflowActivationJob()
            answer = job.resolve_child_workflow_execution_start
            answer.seq = order.seq
            running = self.server.executions.get(order.workflow_id)
            if running is not None and not running.closed:
                answer.failed.workflow_id = order.workflow_id
                answer.failed.workflow_type = order.workflow_type
                answer.failed.cause = 1  # already exists
            else:
                child = self.server.start(order.workflow_type, order.workflow_id, list(order.input))
                answer.succeeded.run_id = child.run_id
                child.on_close = lambda one: self._child_closed(order.seq, one)
            self.deliver(job)

        self.clock.after(self.clock.delay(0.005, 0.5), start)

    def _child_closed(self, seq: int, child: "Execution") -> None:
        job = WorkflowActivationJob()
        answer = job.resolve_child_workflow_execution
        answer.seq = seq
        if child.closed == "completed":
            answer.result.completed.result.CopyFrom(child.result)
        else:
            answer.result.failed.failure.message = child.closed
            answer.result.failed.failure.child_workflow_execution_failure_info.SetInParent()
        self.deliver(job)

    def _on_signal_external_workflow_execution(self, order: Any, _: Any) -> None:
        def arrive() -> None:
            target = self.server.executions.get(order.workflow_execution.workflow_id)
            job = WorkflowActivationJob()
            answer = job.resolve_signal_external_workflow
            answer.seq = order.seq
            if target is None or not target.signal(order.signal_name, list(order.args)):
                answer.failure.message = "not found"
                info = answer.failure.application_failure_info
                info.type, info.non_retryable = "ExternalWorkflowExecutionNotFound", True
            self.deliver(job)

        self.clock.after(self.clock.delay(0.005, 0.5), arrive)

    def _on_cancel_signal_workflow(self, _: Any, __: Any) -> None:
        """One that was sent is on its way: nothing calls it back."""

    def _on_upsert_workflow_search_attributes(self, order: Any, _: Any) -> None:
        found = {
            name: temporalio.converter.JSONPlainPayloadConverter().from_payload(payload)
            for name, payload in order.search_attributes.indexed_fields.items()
        }
        self.server.on_search_attributes(self, found)

    def _on_update_response(self, order: Any, _: Any) -> None:
        kind = order.WhichOneof("response")
        said = order.rejected.message if kind == "rejected" else ""
        if kind == "completed":
            self.answers[order.protocol_instance_id] = order.completed
        self.updates[order.protocol_instance_id] = f"{kind} {said}".strip()

    def _on_complete_workflow_execution(self, order: Any, _: Any) -> None:
        self.result = order.result
        self._close("completed")

    def _on_fail_workflow_execution(self, order: Any, _: Any) -> None:
        self.failure = order.failure
        self._close("failed")

    def _on_cancel_workflow_execution(self, _: Any, __: Any) -> None:
        self._close("cancelled")

    def _close(self, how: str) -> None:
        self.closed = how
        self.clock.tell(f"{self.name} {how}")
        for timer in self._timers.values():
            timer.call_off()
        self.on_close(self)

    # --- the instance ---

    def resolve(self, run: "ActivityRun", **result: Any) -> None:
        """The workflow hears how the activity ended, once."""
        if not run.is_resolved:
            run.is_resolved = True
            self.deliver(_resolved(run.order.seq, **result))

    def replay(self) -> None:
        """The whole history again, in a new instance: the same commands."""
        self._evict()
        self._rebuild()

    def end(self) -> None:
        """Nothing of it is left in memory."""
        self._evict()

    def _rebuild(self) -> None:
        if self._instance is not None:
            return
        self._instance = self._new_instance()
        self.replays += bool(self._history)
        flags: set[int] = set()
        for _, _, used in self._history:
            flags |= set(used)
        for activation, commands, _ in self._history:
            again = WorkflowActivation()
            again.CopyFrom(activation)
            again.is_replaying = True
            again.available_internal_flags.extend(sorted(flags))
            completion = self._instance.activate(again)
            if completion.HasField("failed"):
                raise NonDeterminismError(f"{self.name}: {completion.failed.failure.message}")
            got = [_bytes(command) for command in completion.successful.commands]
            if got != commands:
                raise NonDeterminismError(f"{self.name}: {_difference(commands, got)}")

    def _evict(self) -> None:
        if self._instance is None:
            return
        instance, self._instance = self._instance, None
        job = WorkflowActivationJob()
        job.remove_from_cache.message = "evicted"
        instance.activate(WorkflowActivation(run_id=self.run_id, jobs=[job]))

    def _activation(self, jobs: list[WorkflowActivationJob]) -> WorkflowActivation:
        activation = WorkflowActivation(
            run_id=self.run_id, jobs=jobs, history_length=3 * len(self._history) + 1
        )
        activation.timestamp.FromNanoseconds(int(self.clock.now * 1e9))
        return activation

    def _new_instance(self) -> Any:
        start = datetime.fromtimestamp(self._started_at, UTC)
        definition = workflow._Definition.must_from_class(self.server.workflows[self.name])
        details = WorkflowInstanceDetails(
            payload_converter_factory=lambda: CONVERTER,
            failure_converter_class=type(FAILURES),
            interceptor_classes=[],
            defn=definition,
            info=_info(self, start),
            randomness_seed=7,
            extern_functions={"__temporal_get_metric_meter": lambda: MetricMeter.noop},
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )
        asyncio._set_running_loop(_LOOP)
        try:
            return UnsandboxedWorkflowRunner().create_instance(details)
        finally:
            asyncio._set_running_loop(None)


def _resolved(seq: int, **result: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    job.resolve_activity.seq = seq
    answer = job.resolve_activity.result
    if "completed" in result:
        answer.completed.result.CopyFrom(result["completed"])
    elif "failed" in result:
        answer.failed.failure.CopyFrom(result["failed"])
    else:
        answer.cancelled.failure.CopyFrom(result["cancelled"])
    return job


def _unsent(seq: int, commands: list[Any]) -> list[WorkflowActivationJob]:
    """A signal that is called off in the task that made it is never sent."""
    kind = "signal_external_workflow_execution"
    new = [c for c in commands if c.HasField(kind) and getattr(c, kind).seq == seq]
    if not new:
        return []
    commands.remove(new[0])
    job = WorkflowActivationJob()
    answer = job.resolve_signal_external_workflow
    answer.seq = seq
    answer.failure.message = "Signal was cancelled before being sent"
    answer.failure.canceled_failure_info.SetInParent()
    return [job]


def _closes(command: Any) -> bool:
    return command.WhichOneof("variant") in (
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
    )


def _bytes(message: Any) -> bytes:
    found: bytes = message.SerializeToString(deterministic=True)
    return found


def _difference(wanted: list[bytes], got: list[bytes]) -> str:
    return f"{len(wanted)} commands first, {len(got)} in the replay, not the same"


def _info(execution: Execution, start: datetime) -> workflow.Info:
    return workflow.Info(
        attempt=1,
        continued_run_id=None,
        cron_schedule=None,
        execution_timeout=None,
        first_execution_run_id=execution.run_id,
        headers={},
        namespace="default",
        original_execution_run_id=execution.run_id,
        parent=None,
        root=None,
        priority=temporalio.common.Priority.default,
        raw_memo={},
        retry_policy=None,
        run_id=execution.run_id,
        run_timeout=None,
        search_attributes={},
        start_time=start,
        task_queue="simulated",
        task_timeout=timedelta(seconds=10),
        typed_search_attributes=temporalio.common.TypedSearchAttributes.empty,
        workflow_id=execution.id,
        workflow_start_time=start,
        workflow_type=execution.name,
    )

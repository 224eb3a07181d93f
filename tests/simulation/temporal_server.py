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
from temporalio.api.enums.v1 import RetryState, TimeoutType
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
                jobs.append(_resolved(seq, cancelled=_cancelled(new[0].schedule_activity)))
            elif seq not in heard and self._activities[seq].cancellation != _WAIT:
                run = self._activities[seq]
                jobs.append(_resolved(seq, cancelled=_cancelled(run.order)))
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


class ActivityRun:
    """One scheduled activity: its attempts, time limits and retries, as the server keeps them."""

    def __init__(self, execution: Execution, order: Any) -> None:
        self.execution, self.order = execution, order
        self.server, self.clock = execution.server, execution.clock
        self.cancellation = order.cancellation_type
        self.attempt = 0
        self.is_running = False
        self.is_over = False
        self.is_resolved = False
        self.is_cancel_requested = False
        self.heartbeat_details: tuple[Any, ...] = ()
        self._beat_at = 0.0
        self._retry: Any = None
        self._deadline = None
        total = order.schedule_to_close_timeout.ToTimedelta().total_seconds()
        if total:
            self._deadline = self.clock.now + total
            self.clock.after(total, lambda: self._timed_out(None, _SCHEDULE_TO_CLOSE))
        self.server.on_activity(execution, order.activity_type)
        self.clock.after(self.clock.delay(0.005, 0.3), self._start)

    def _start(self) -> None:
        if self.is_over or self.execution.closed:
            return
        if self.server.is_worker_down:
            self.server.waiting.append(self._start)
            return
        self._retry = None
        self.attempt += 1
        self.is_running = True
        number = self.attempt
        self._beat_at = self.clock.now
        limit = self.order.start_to_close_timeout.ToTimedelta().total_seconds()
        if limit:
            self.clock.after(limit, lambda: self._timed_out(number, _START_TO_CLOSE))
        self._watch_heartbeat(number)
        self.server.start_attempt(self, number)

    def _watch_heartbeat(self, number: int) -> None:
        limit = self.order.heartbeat_timeout.ToTimedelta().total_seconds()
        if not limit:
            return

        def look() -> None:
            if self.is_over or not self.is_running or self.attempt != number:
                return
            left = self._beat_at + limit - self.clock.now
            if left > 0:
                self.clock.after(left, look)
            else:
                self._timed_out(number, _HEARTBEAT)

        self.clock.after(limit, look)

    # --- what the worker says ---

    def beat(self, number: int, details: tuple[Any, ...]) -> str:
        """The server has the heartbeat; its answer: '', 'cancel' or 'not found'."""
        if self.is_over or not self.is_running or self.attempt != number or self.execution.closed:
            return "not found"
        self._beat_at = self.clock.now
        self.heartbeat_details = details
        return "cancel" if self.is_cancel_requested else ""

    def completed(self, number: int, payload: Any) -> None:
        """The attempt's answer is in the history; a late one is nobody's."""
        if self._is_current(number):
            self._end()
            self.execution.resolve(self, completed=payload)

    def failed(self, number: int, failure: Failure) -> None:
        """Tried again by its policy, or failed for good."""
        if self._is_current(number):
            final = set(self.order.retry_policy.non_retryable_error_types)
            self._retry_or_fail(failure, retryable=not _is_final(failure, final))

    def cancelled(self, number: int) -> None:
        """The attempt has stopped because it was asked to."""
        if self._is_current(number):
            self._end()
            self.execution.resolve(self, cancelled=_cancelled(self.order))

    def request_cancel(self) -> None:
        """The next heartbeat's answer says so; without an attempt it is over at once."""
        self.is_cancel_requested = True
        if not self.is_running and not self.is_over:
            self._end()
            self.execution.resolve(self, cancelled=_cancelled(self.order))

    def _is_current(self, number: int) -> bool:
        return (
            not self.is_over
            and self.is_running
            and number == self.attempt
            and not self.execution.closed
        )

    def _timed_out(self, number: int | None, kind: int) -> None:
        if self.is_over or (number is not None and not self._is_current(number)):
            return
        self.clock.tell(f"{self.name}: {TimeoutType.Name(kind)[13:].lower()} time-out")
        failure = Failure(message="activity timed out")
        failure.timeout_failure_info.timeout_type = kind
        if number is None:
            self._end()
            self.execution.resolve(self, failed=_failed(self.order, failure))
        else:
            self._retry_or_fail(failure, retryable=True)

    def _retry_or_fail(self, failure: Failure, *, retryable: bool) -> None:
        policy = self.order.retry_policy
        self.is_running = False
        first = policy.initial_interval.ToTimedelta().total_seconds() or 1.0
        most = policy.maximum_interval.ToTimedelta().total_seconds() or 100 * first
        pause = min(most, first * (policy.backoff_coefficient or 2.0) ** min(self.attempt - 1, 60))
        if failure.application_failure_info.HasField("next_retry_delay"):
            pause = failure.application_failure_info.next_retry_delay.ToTimedelta().total_seconds()
        is_last = policy.maximum_attempts and self.attempt >= policy.maximum_attempts
        is_late = self._deadline is not None and self.clock.now + pause >= self._deadline
        if not retryable or is_last or is_late or self.is_cancel_requested:
            self._end()
            self.execution.resolve(self, failed=_failed(self.order, failure))
            return
        self._retry = self.clock.after(pause, self._start)

    def _end(self) -> None:
        self.is_over, self.is_running = True, False
        if self._retry is not None:
            self._retry.call_off()

    @property
    def name(self) -> str:
        """The activity's name, and which attempt it is."""
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        return f"{self.order.activity_type}{again}"


_SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
_HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT


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


def _wrapped(order: Any, cause: Failure, state: int) -> Failure:
    failure = Failure(message="Activity task failed", cause=cause)
    info = failure.activity_failure_info
    info.activity_type.name, info.activity_id = order.activity_type, order.activity_id
    info.retry_state = state
    return failure


def _failed(order: Any, cause: Failure) -> Failure:
    return _wrapped(order, cause, RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)


def _cancelled(order: Any) -> Failure:
    cause = Failure(message="Activity cancelled")
    cause.canceled_failure_info.SetInParent()
    return _wrapped(order, cause, RetryState.RETRY_STATE_CANCEL_REQUESTED)


def _is_final(failure: Failure, types: set[str]) -> bool:
    if not failure.HasField("application_failure_info"):
        return False
    info = failure.application_failure_info
    return info.non_retryable or info.type in types


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

"""The worker's part: attempts of the product's synchronous activities, waiting in virtual time."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import temporalio.activity
from temporalio.api.failure.v1 import Failure
from temporalio.common import RetryPolicy
from temporalio.exceptions import CancelledError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.aws_retries import AwsFaults
from release.pulse import PULSE
from tests.simulation.activity_run import ActivityRun
from tests.simulation.clockwork import Clockwork, Process
from tests.simulation.temporal_server import CONVERTER, FAILURES

_INFO = ActivityEnvironment.default_info()


@dataclass
class Cancellation:
    """An activity's cancelled event; to wait for it is to wait in virtual time."""

    clock: Clockwork
    is_requested: bool = False

    def is_set(self) -> bool:
        """Whether it was requested."""
        return self.is_requested

    def wait_sync(self, timeout: float | None = None) -> None:
        """The time is over, or the cancellation has come."""
        if not self.is_requested:
            self.clock.sleep(timeout or 0, wakes=True)


@dataclass(eq=False)
class Attempt:
    """One attempt of one activity in the worker's thread pool."""

    run: ActivityRun
    number: int
    cancellation: Cancellation
    process: Process | None = None
    is_beating: bool = False
    details: tuple[Any, ...] = ()
    is_shielded: bool = False  # a cancellation waits for its end: activities/pulse.py


@dataclass
class SimulatedWorker:
    """Runs attempts; may die, with all of them, and be frozen."""

    clock: Clockwork
    activities: dict[str, Callable[..., Any]]
    running: list[Attempt] = field(default_factory=list)
    reports: set[int] = field(default_factory=set)  # on their way to the server

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    def start(self, run: ActivityRun, number: int) -> None:
        """The attempt runs until it first waits."""
        attempt = Attempt(run, number, Cancellation(self.clock))
        self.running.append(attempt)
        if run.order.heartbeat_timeout.ToTimedelta() == PULSE:
            attempt.is_shielded = True
            self._pulse(attempt)
        name = f"{run.order.activity_type}/{run.order.seq}/{number}"
        self.clock.spawn(
            name,
            lambda: self._work(attempt),
            lambda outcome: self._over(attempt, outcome),
        )

    def die(self) -> None:
        """Nothing that runs ever answers."""
        for attempt in self.running:
            if attempt.process is not None:
                self.clock.kill(attempt.process)
        self.running.clear()
        self.reports.clear()

    def freeze(self, seconds: float) -> None:
        """What runs now stands still that long, and then goes on as if nothing had been."""
        for attempt in self.running:
            if attempt.process is not None:
                attempt.process.frozen_until = self.clock.now + seconds

    def _work(self, attempt: Attempt) -> Any:
        attempt.process = self.clock.current()
        order = attempt.run.order
        function = self.activities[order.activity_type]
        definition = temporalio.activity._Definition.must_from_callable(function)
        arguments = CONVERTER.from_payloads(list(order.arguments), definition.arg_types)
        temporalio.activity._Context.set(self._context(attempt))
        return CONVERTER.to_payload(_through_interceptors(function, arguments))

    def _context(self, attempt: Attempt) -> temporalio.activity._Context:
        order, execution = attempt.run.order, attempt.run.execution
        info = replace(
            _INFO,
            activity_id=order.activity_id,
            activity_type=order.activity_type,
            attempt=attempt.number,
            workflow_id=execution.id,
            workflow_run_id=execution.run_id,
            started_time=datetime.fromtimestamp(self.clock.now, UTC),
            heartbeat_details=_over_the_wire(attempt.run.heartbeat_details),
            retry_policy=RetryPolicy.from_proto(order.retry_policy),
        )
        return temporalio.activity._Context(
            info=lambda: info,
            heartbeat=lambda *details: self._heartbeat(attempt, details),
            cancelled_event=attempt.cancellation,  # type: ignore[arg-type]
            worker_shutdown_event=None,  # type: ignore[arg-type]
            shield_thread_cancel_exception=None,
            payload_converter_class_or_instance=CONVERTER,
            runtime_metric_meter=None,
            client=None,
            cancellation_details=temporalio.activity._ActivityCancellationDetailsHolder(),
        )

    def _heartbeat(self, attempt: Attempt, details: tuple[Any, ...]) -> None:
        """Sent once a second at most, as the worker's throttle has it, with the last details."""
        attempt.details = details
        if attempt.is_beating:
            return
        attempt.is_beating = True
        self.clock.after(self.clock.delay(0.02, 1.0), lambda: self._beat(attempt))

    def _pulse(self, attempt: Attempt) -> None:
        """The worker beats for it, as long as both live."""

        def beat() -> None:
            if attempt in self.running:
                self._beat(attempt)
                self.clock.after(PULSE.total_seconds() / 5, beat)

        self.clock.after(0, beat)

    def _beat(self, attempt: Attempt) -> None:
        attempt.is_beating = False
        process = attempt.process
        if attempt not in self.running or process is None or process.is_dead:
            return
        if process.frozen_until > self.clock.now:
            return
        answer = attempt.run.beat(attempt.number, attempt.details)
        if answer and not attempt.cancellation.is_requested:
            attempt.cancellation.is_requested = True
            if not attempt.is_shielded:
                self.clock.interrupt(process, CancelledError(answer))

    def _over(self, attempt: Attempt, outcome: Any) -> None:
        self.running.remove(attempt)
        run, number = attempt.run, attempt.number
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
        if attempt.is_shielded and attempt.cancellation.is_requested:
            outcome = CancelledError("the call has ended")
        if isinstance(outcome, CancelledError) and attempt.cancellation.is_requested:
            report = lambda: run.cancelled(number)  # noqa: E731
        elif isinstance(outcome, Exception):
            failure = Failure()
            FAILURES.to_failure(outcome, CONVERTER, failure)
            self.clock.tell(f"{run.name} failed: {str(outcome)[:90]}")
            report = lambda: run.failed(number, failure)  # noqa: E731
        else:
            report = lambda: run.completed(number, outcome)  # noqa: E731
        self._send(report)

    def _send(self, report: Callable[[], None]) -> None:
        """The report is on its way; a worker that dies now has not sent it."""
        number = next(self._numbers)
        self.reports.add(number)

        def arrive() -> None:
            if number in self.reports:
                self.reports.discard(number)
                report()

        self.clock.after(self.clock.delay(0.005, 0.3), arrive)


def _over_the_wire(details: tuple[Any, ...]) -> list[Any]:
    return CONVERTER.from_payloads(CONVERTER.to_payloads(list(details))) if details else []


class _Function(ActivityInboundInterceptor):
    """The activity itself, at the end of the interceptors' chain."""

    def __init__(self) -> None:
        """Nothing comes after it."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        return input.fn(*input.args)


def _through_interceptors(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """The activity's result, as the real worker has it: AWS's faults translated."""
    order = ExecuteActivityInput(fn=function, args=arguments, executor=None, headers={})
    work = AwsFaults().intercept_activity(_Function()).execute_activity(order)
    try:
        work.send(None)  # it awaits nothing: what waits in it waits in virtual time
    except StopIteration as end:
        return end.value
    raise AssertionError("an interceptor waited for something")

"""One activity of the played server: its attempts, time limits and retries, in virtual time."""

from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure

if TYPE_CHECKING:
    from tests.simulation.temporal_server import Execution


class ActivityRun:
    """One scheduled activity: its attempts, time limits and retries, as the server keeps them."""

    def __init__(self, execution: "Execution", order: Any) -> None:
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
            self.execution.resolve(self, cancelled=cancelled(self.order))

    def request_cancel(self) -> None:
        """The next heartbeat's answer says so; without an attempt it is over at once."""
        self.is_cancel_requested = True
        if not self.is_running and not self.is_over:
            self._end()
            self.execution.resolve(self, cancelled=cancelled(self.order))

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
            self.execution.resolve(self, failed=failed(self.order, failure))
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
            self.execution.resolve(self, failed=failed(self.order, failure))
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


def _wrapped(order: Any, cause: Failure, state: int) -> Failure:
    failure = Failure(message="Activity task failed", cause=cause)
    info = failure.activity_failure_info
    info.activity_type.name, info.activity_id = order.activity_type, order.activity_id
    info.retry_state = state
    return failure


def failed(order: Any, cause: Failure) -> Failure:
    """As the workflow is told that an activity has failed for good."""
    return _wrapped(order, cause, RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)


def cancelled(order: Any) -> Failure:
    """As the workflow is told that an activity was cancelled."""
    cause = Failure(message="Activity cancelled")
    cause.canceled_failure_info.SetInParent()
    return _wrapped(order, cause, RetryState.RETRY_STATE_CANCEL_REQUESTED)


def _is_final(failure: Failure, types: set[str]) -> bool:
    if not failure.HasField("application_failure_info"):
        return False
    info = failure.application_failure_info
    return info.non_retryable or info.type in types

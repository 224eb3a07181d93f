"""How each kind of activity is run: its time limits and its retries, stated once."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from release.pulse import PULSE

with workflow.unsafe.imports_passed_through():
    from activities.aws_faults import FaultKind

# a person has to act first: said at once. A rollback and a record wait even for that
_FINAL = (FaultKind.REFUSED.value, FaultKind.SETTINGS.value)
# what AWS throttles, and credentials that expired, are tried further apart: activities/aws_retries
_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=15),
    maximum_attempts=6,
    non_retryable_error_types=_FINAL,
)

BUILD: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_attempts=3,
        non_retryable_error_types=_FINAL,
    ),
}
AWS_CALL: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": PULSE,
    "retry_policy": _RETRIES,
}
ADMISSION: dict[str, Any] = {
    # what was rolled back must not slip in while its record is down: it is waited for instead
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": PULSE,
    "schedule_to_close_timeout": timedelta(hours=2),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        non_retryable_error_types=_FINAL,
    ),
}
ALIAS_WRITE: dict[str, Any] = AWS_CALL | {
    # an abort waits for a write that is under way, so that the rollback comes after it
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}
LANE: dict[str, Any] = {
    # the lane's worker may be away; whoever asks is told so in time, and asks again
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": PULSE,
    "schedule_to_close_timeout": timedelta(minutes=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
    ),
}
NOTICE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": PULSE,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=2), maximum_attempts=2),
}
PROOF: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": PULSE,
    "schedule_to_close_timeout": timedelta(seconds=60),  # somebody waits for the answer
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=4,
        non_retryable_error_types=_FINAL,
    ),
}
CHECKS: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_attempts=4,
        non_retryable_error_types=_FINAL,
    ),
}
RECORD: dict[str, Any] = {
    # an hour without DynamoDB or GitHub only makes the record late; what can never be raises
    # an error that is not retried
    "start_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": PULSE,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=2)
    ),
}
ROLLBACK: dict[str, Any] = {
    # never gives up: a rollback that stops trying leaves users on the bad version
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": PULSE,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
    ),
}

PLAN_INFRASTRUCTURE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=30),  # half of it may be somebody else's update
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": _RETRIES,
}
EXECUTE_INFRASTRUCTURE: dict[str, Any] = {
    # an abort does not wait for it: CloudFormation goes on by itself, and no traffic has moved
    "start_to_close_timeout": timedelta(hours=3),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": _RETRIES,
}
END_DEPLOYMENT: dict[str, Any] = ROLLBACK | {
    "start_to_close_timeout": timedelta(minutes=10),
    "heartbeat_timeout": timedelta(seconds=30),
}
SHIFT_BY_CODEDEPLOY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(hours=51),  # CodeDeploy's own limit is 50
    "heartbeat_timeout": timedelta(seconds=30),
    # a rollback before the attempt has ended could be overtaken by a deployment that it still makes
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)
    ),
}


def project_checks(longest: timedelta) -> dict[str, Any]:
    """Options of running the project's own checks, each of which may last as long as `longest`."""
    return {
        "start_to_close_timeout": 5 * longest,
        "heartbeat_timeout": timedelta(seconds=30),
        "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=2), maximum_attempts=3),
    }


def shift_step(longest: timedelta) -> dict[str, Any]:
    """Options of one step of the ladder, which may last as long as `longest`.

    An abort does not wait for it: the rollback's own write changes the alias's `RevisionId`, and a
    weight that is still on its way then no longer lands.
    """
    return {
        "start_to_close_timeout": longest + timedelta(minutes=5),
        "heartbeat_timeout": timedelta(seconds=15),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            maximum_interval=timedelta(seconds=10),
            non_retryable_error_types=_FINAL,
        ),
    }


def watch_production(longest: timedelta) -> dict[str, Any]:
    """Options of a watch of production: by its own end time it ends, however often it is tried."""
    return {
        "start_to_close_timeout": longest + timedelta(minutes=15),
        "heartbeat_timeout": timedelta(seconds=30),
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
        ),
    }

"""What AWS's faults mean to an activity: one clear line, and when to try again."""

from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.aws_faults import FaultKind, fault_of

# before the second try, the third, …; two and a half minutes in all: what throttles passes
_PASSES = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 30, 45, 60))
# a role's session is renewed, or the worker started again with other credentials, in five minutes
_RENEWED = (timedelta(seconds=60),)


class AwsFaults(Interceptor):
    """Every activity's AWS faults are told alike; AWS's answers to the call itself are not touched.

    Which kinds end an activity at once stands in `workflows/options.py`.
    """

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002  the SDK's name
    ) -> ActivityInboundInterceptor:
        """The activity with its faults translated."""
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except (ClientError, BotoCoreError) as error:
            fault = fault_of(error)
            if fault is None:
                raise
            # without its cause: the workflow tells the deepest error, and this is the clear one
            raise ApplicationError(
                fault.text, type=fault.kind, next_retry_delay=_delay(fault.kind, activity.info())
            ) from None


def _delay(kind: FaultKind, info: activity.Info) -> timedelta | None:
    """None where the activity is tried without limit: that has its own, short pace."""
    if info.retry_policy is None or not info.retry_policy.maximum_attempts:
        return None
    delays = _RENEWED if kind is FaultKind.CREDENTIALS else _PASSES
    return delays[min(info.attempt, len(delays)) - 1]

"""A sign of life for activities that give none themselves: a dead worker is noticed in seconds.

Without it a worker's death is noticed when the activity's whole time is over: a rollback would
stand still for half a minute, the record for two.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from release.pulse import PULSE


class Pulse(Interceptor):
    """Beats for every activity whose heartbeat timeout is `PULSE`; the others beat themselves."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """As Temporal asks it."""
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if activity.info().heartbeat_timeout != PULSE:
            return await super().execute_activity(input)
        input.fn = _uninterrupted(input.fn)
        beating = asyncio.create_task(self._beat())
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        # the loop's own heartbeat: the thread's would wait for the loop, which is here
        while True:
            self._outbound.heartbeat()
            await asyncio.sleep(PULSE.total_seconds() / 5)


def _uninterrupted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A cancellation, which comes with the heartbeat, waits for the end of the call to AWS.

    Thrown into the thread it could leave a shared client's connection pool locked. A coroutine is
    interrupted where it waits.
    """
    if asyncio.iscoroutinefunction(function):
        return function

    @wraps(function)
    def whole(*arguments: Any) -> Any:
        with activity.shield_thread_cancel_exception():
            return function(*arguments)

    return whole

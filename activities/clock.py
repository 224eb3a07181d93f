"""The time as Temporal's server has it: a worker's own clock may be minutes off, or jump.

A rung's time counts from the workflow's clock, which is the server's; counted by the worker's own,
one that is five minutes fast would climb at once.
"""

import time
from datetime import datetime, timedelta

from temporalio import activity


class ServerClock:
    """Goes on from the moment at which the server handed out this attempt; jumps with nothing."""

    def __init__(self) -> None:
        self._started = activity.info().started_time
        self._since = time.monotonic()

    def now(self) -> datetime:
        """The server's time; behind it by what the attempt took to get here."""
        return self._started + timedelta(seconds=time.monotonic() - self._since)

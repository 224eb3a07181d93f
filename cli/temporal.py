"""Temporal as the CLI uses it: a client, and its errors in a person's words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from cli.errors import CliError, Refused, Unreachable
from connection.connect import client_options
from connection.errors import SettingsError
from connection.telemetry import tracing
from settings import TemporalSettings

RPC_TIMEOUT = timedelta(seconds=15)
PROOF_TIMEOUT = timedelta(seconds=75)  # an approval's answer waits for its proof, a minute at most


@asynccontextmanager
async def temporal(identity: str) -> AsyncIterator[Client]:
    """A connected client; what goes wrong inside becomes one clear line."""
    settings = TemporalSettings.from_environment()
    with tracing(settings) as interceptors:
        async with _connected(settings, identity=identity, interceptors=interceptors) as client:
            yield client


@asynccontextmanager
async def _connected(settings: TemporalSettings, **ours: Any) -> AsyncIterator[Client]:
    try:
        config = client_options(settings)
    except SettingsError as error:
        raise Unreachable(str(error)) from error
    target = config["target_host"]
    try:
        client = await asyncio.wait_for(Client.connect(**config, **ours), 10)
    except (RuntimeError, TimeoutError) as error:
        raise Unreachable(
            f"Temporal does not answer at {target}; on a laptop start it with `starter.py up`"
        ) from error
    try:
        yield client
    except WorkflowUpdateFailedError as error:
        raise Refused(f"refused: {getattr(error.cause, 'message', error.cause)}") from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowQueryFailedError) as error:
        raise Unreachable(_no_worker(target)) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CliError(f"no such promotion, or it has ended: {error}") from error
        if error.status in {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}:
            raise Unreachable(_no_worker(target)) from error
        if "no mapping defined for search attribute" in str(error):
            raise CliError(
                f"the server at {target} lacks our search attributes: {error}"
            ) from error
        raise Unreachable(f"Temporal at {target}: {error}") from error


def _no_worker(target: str) -> str:
    return f"no worker answered at {target}; is one running? (`python worker.py`)"

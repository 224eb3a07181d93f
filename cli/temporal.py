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
from connection.problems import in_words
from connection.telemetry import tracing
from settings import TemporalSettings

RPC_TIMEOUT = timedelta(seconds=15)
PROOF_TIMEOUT = timedelta(seconds=75)  # an approval's answer waits for its proof, a minute at most

_ASLEEP = ("nothing listens", "does not answer")
_OURS = {
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
}


@asynccontextmanager
async def temporal(identity: str) -> AsyncIterator[Client]:
    """A connected client; what goes wrong inside becomes one clear line."""
    settings = TemporalSettings.from_environment()
    with tracing(settings) as interceptors:
        async with _connected(settings, identity=identity, interceptors=interceptors) as client:
            yield client


@asynccontextmanager
async def _connected(settings: TemporalSettings, **ours: Any) -> AsyncIterator[Client]:
    config = _options(settings)
    target = config["target_host"]
    try:
        client = await asyncio.wait_for(Client.connect(**config, **ours), 10)
    except (RuntimeError, TimeoutError, ValueError) as error:
        raise Unreachable(_not_connected(error, config)) from error
    try:
        yield client
    except WorkflowUpdateFailedError as error:
        raise Refused(f"refused: {getattr(error.cause, 'message', error.cause)}") from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowQueryFailedError) as error:
        raise Unreachable(_no_worker(target)) from error
    except RPCError as error:
        if error.status in _OURS or "amespace" in error.message:
            raise Unreachable(in_words(error, config)) from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CliError(f"no such promotion, or it has ended: {error}") from error
        if error.status in {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}:
            raise Unreachable(_no_worker(target)) from error
        if "no mapping defined for search attribute" in str(error):
            raise CliError(
                f"the server at {target} lacks our search attributes: {error}"
            ) from error
        raise Unreachable(f"Temporal at {target}: {error}") from error


def _options(settings: TemporalSettings) -> dict[str, Any]:
    try:
        return client_options(settings)
    except SettingsError as error:
        raise Unreachable(" ".join(str(error).split())) from error
    except (OSError, RuntimeError, ValueError) as error:  # a profile or a file that is not there
        text = " ".join(str(error).split())
        raise Unreachable(
            f"Temporal's settings cannot be read: {text}; look at TEMPORAL_PROFILE, "
            "TEMPORAL_CONFIG_FILE and the files that TEMPORAL_TLS_* name"
        ) from error


def _not_connected(error: BaseException, config: dict[str, Any]) -> str:
    line = in_words(error, config)
    asleep = any(sign in line for sign in _ASLEEP)
    return f"{line}; on a laptop start it with `starter.py up`" if asleep else line


def _no_worker(target: str) -> str:
    return f"no worker answered at {target}; is one running? (`python worker.py`)"

"""Temporal as the CLI uses it: a client, and its errors in a person's words."""

import asyncio
import re
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
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from cli.errors import CliError, Refused, Unreachable
from settings import connect_to_temporal_config

RPC_TIMEOUT = timedelta(seconds=15)
PROOF_TIMEOUT = timedelta(seconds=75)  # an approval's answer waits for its proof, a minute at most

_CREDENTIALS = "it does not know these credentials; renew TEMPORAL_API_KEY, or the profile's key"
_PERMISSION = "these credentials may not do this; ask whoever grants access to the namespace"
# what the SDK says of a failed connection → what it means
_CONNECTING = (
    ("ExpiredContext|NotValidAfter", "its TLS certificate has expired; its operator renews it"),
    (
        "alert.*(?i:certificate)",
        "it refuses our TLS client certificate, which may have expired; look at "
        "TEMPORAL_TLS_CLIENT_CERT_PATH",
    ),
    (
        "InvalidCertificate",
        "its TLS certificate is not one to trust; look at TEMPORAL_TLS_SERVER_CA_CERT_PATH and "
        "TEMPORAL_TLS_SERVER_NAME",
    ),
    ("PrivateKeyParseError", "our TLS key cannot be read; look at TEMPORAL_TLS_CLIENT_KEY_PATH"),
    ("code: Unauthenticated", _CREDENTIALS),
    ("code: PermissionDenied", _PERMISSION),
    ("invalid target URL|relative URL|InvalidUri", "that is no address; write host:port"),
)
_SAID = {
    RPCStatusCode.UNAUTHENTICATED: _CREDENTIALS,
    RPCStatusCode.PERMISSION_DENIED: _PERMISSION,
    RPCStatusCode.RESOURCE_EXHAUSTED: "too many calls in this namespace; try again in a minute",
}


@asynccontextmanager
async def temporal(identity: str) -> AsyncIterator[Client]:
    """A connected client; what goes wrong inside becomes one clear line."""
    config = _config()
    target = config["target_host"]
    try:
        client = await asyncio.wait_for(
            Client.connect(**config, data_converter=pydantic_data_converter, identity=identity), 10
        )
    except (RuntimeError, TimeoutError, ValueError) as error:
        raise Unreachable(f"Temporal at {target}: {_why_not_connected(str(error))}") from error
    try:
        yield client
    except WorkflowUpdateFailedError as error:
        raise Refused(f"refused: {getattr(error.cause, 'message', error.cause)}") from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowQueryFailedError) as error:
        raise Unreachable(_no_worker(target)) from error
    except RPCError as error:
        if error.status in _SAID:
            raise Unreachable(
                f"Temporal at {target}: {_SAID[error.status]} ({error.message})"
            ) from error
        if error.status is RPCStatusCode.NOT_FOUND and "amespace" in error.message:
            raise Unreachable(
                f"Temporal at {target}: {error.message} set TEMPORAL_NAMESPACE, or the profile's"
            ) from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CliError(f"no such promotion, or it has ended: {error}") from error
        if error.status in {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}:
            raise Unreachable(_no_worker(target)) from error
        if "no mapping defined for search attribute" in str(error):
            raise CliError(
                f"the server at {target} lacks our search attributes: {error}"
            ) from error
        raise Unreachable(f"Temporal at {target}: {error}") from error


def _config() -> Any:
    try:
        return connect_to_temporal_config()
    except (OSError, RuntimeError, ValueError) as error:  # a profile or a file that is not there
        text = " ".join(str(error).split())
        raise Unreachable(
            f"Temporal's settings cannot be read: {text}; look at TEMPORAL_PROFILE, "
            "TEMPORAL_CONFIG_FILE and the files that TEMPORAL_TLS_* name"
        ) from error


def _why_not_connected(said: str) -> str:
    """What to do about it; the SDK's own words are a Rust structure."""
    return next(
        (why for pattern, why in _CONNECTING if re.search(pattern, said)),
        "it does not answer; on a laptop start it with `starter.py up`",
    )


def _no_worker(target: str) -> str:
    return f"no worker answered at {target}; is one running? (`python worker.py`)"

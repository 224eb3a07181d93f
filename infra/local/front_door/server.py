"""Several uvicorn servers in one loop, ended together by one signal."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

# What runs at a SIGTERM may take so long; the whole end must fit into 3 s.
_GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for all servers, so none of them takes them."""
        yield


async def serve(applications: dict[int, Any]) -> None:
    """Each application on its port of 127.0.0.1, until SIGTERM or SIGINT.

    Raises:
        OSError: a port is taken; nothing was served.
    """
    # Every port is bound before the first is served: one that answers means that all do.
    listeners = [
        (socket.create_server(("127.0.0.1", port), backlog=2048), application)
        for port, application in applications.items()
    ]
    servers = [(_Server(_config(application)), listener) for listener, application in listeners]

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def _config(application: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )

"""Ports on 127.0.0.1: which are taken, and a free one for each that was left open."""

import random
import socket

from infra.local.settings import LaptopError, Ports

# Below the range from which Linux and macOS give ports to outgoing connections: a part that
# comes back after a crash finds its port still free.
_FIRST, _LAST = 20000, 32767


def settle(ports: Ports, unused: frozenset[str]) -> Ports:
    """These ports with every 0 made a free one; the names in `unused` are not looked at.

    Raises:
        LaptopError: a wanted port is taken by another program, or named twice.
    """
    wanted = {name: port for name, port in ports.model_dump().items() if name not in unused}
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port and (port in chosen.values() or not _free(port)):
            label = name.rstrip("_")
            raise LaptopError(
                f"port {port} ({label}) is taken; choose another with --port {label}=N"
            )
        chosen[name] = port
    for name in [name for name, port in chosen.items() if not port]:
        chosen[name] = _any_free(set(chosen.values()))
    return ports.model_copy(update=chosen)


def _any_free(avoid: set[int]) -> int:
    candidates = random.sample(range(_FIRST, _LAST + 1), 200)  # nosec B311
    for port in candidates:
        if port not in avoid and _free(port):
            return port
    raise LaptopError("no free port was found on 127.0.0.1")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # Without it the connections that a just ended server left in TIME_WAIT count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

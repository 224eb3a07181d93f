"""Consumers of the price API: steady real requests, every answer counted."""

import itertools
import threading
import time
from dataclasses import dataclass, field

import httpx

_PATHS = ("/prices/BTC", "/prices?symbols=BTC,ETH", "/prices/ETH", "/prices?symbols=SOL,XRP,ADA")
_TIMEOUT_SECONDS = 10


@dataclass
class Tally:
    """What the consumers saw."""

    requests: int = 0
    failures: int = 0
    first_failure: float | None = None
    last_failure: float | None = None
    failed_routes: dict[str, int] = field(default_factory=dict)


class Consumers:
    """A fixed number of requests a second, spread over API keys so that no limit is reached."""

    def __init__(self, url: str, keys: list[str], per_second: float) -> None:
        self._url = url
        self._keys = itertools.cycle(keys)
        self._pause = 1 / per_second
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._next = time.monotonic()
        self._paths = itertools.cycle(_PATHS)
        self.tally = Tally()

    def start(self, threads: int = 4) -> None:
        """Requests flow until `stop`."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> Tally:
        """No more requests; what was seen since the last `reset`."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_TIMEOUT_SECONDS + 1)
        return self.tally

    def reset(self) -> Tally:
        """What was seen until now; the count begins anew."""
        with self._lock:
            seen, self.tally = self.tally, Tally()
        return seen

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=_TIMEOUT_SECONDS) as client:
            while True:
                with self._lock:
                    self._next = max(self._next + self._pause, time.monotonic() - 1)
                    wait, path, key = (
                        self._next - time.monotonic(),
                        next(self._paths),
                        next(self._keys),
                    )
                if self._stop.wait(max(0.0, wait)):
                    return
                self._count(path, _ask(client, path, key))

    def _count(self, path: str, good: bool) -> None:
        now = time.time()
        with self._lock:
            tally = self.tally
            tally.requests += 1
            if good:
                return
            tally.failures += 1
            tally.first_failure = tally.first_failure or now
            tally.last_failure = now
            tally.failed_routes[path] = tally.failed_routes.get(path, 0) + 1


def _ask(client: httpx.Client, path: str, key: str) -> bool:
    try:
        return client.get(path, headers={"X-API-Key": key}).status_code < 500
    except httpx.HTTPError:
        return False

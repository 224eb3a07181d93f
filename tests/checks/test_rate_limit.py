"""The rate-limit check against services whose limit is wrong; their window is a second long."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from uuid import uuid4

from release.verdict import Verdict
from tests.checks.staging_parts import Answer, Cloud, server

NOW = "2025-01-31T12:00:00Z"


class Limited:
    """A service that says one limit and holds to another."""

    def __init__(
        self,
        says: int,
        enforces: int | None,
        cost: int = 1,
        resets: bool = True,
        taken: int = 0,
    ) -> None:
        self._says, self._enforces, self._cost, self._resets = says, enforces, cost, resets
        self._asked, self._used = time.monotonic(), taken
        self._lock = threading.Lock()

    def __call__(self, request: BaseHTTPRequestHandler) -> Answer:
        with self._lock:
            # a window begins when somebody waited for it: no burst is cut in two by chance
            now, before, self._asked = time.monotonic(), self._asked, time.monotonic()
            self._used = (
                self._cost if self._resets and now - before >= 0.9 else self._used + self._cost
            )
            used = self._used
        headers = {
            "x-request-id": uuid4().hex,
            "content-type": "application/json",
            "ratelimit-limit": str(self._says),
            "ratelimit-remaining": str(max(0, (self._enforces or self._says) - used)),
            "ratelimit-reset": "1",
            "ratelimit-policy": f"{self._says};w=1",
        }
        if self._enforces is None or used <= self._enforces:
            return 200, headers, b"{}"
        error = {
            "error": "too many",
            "code": "RATE_LIMIT_EXCEEDED",
            "timestamp": NOW,
            "requestId": headers["x-request-id"],
        }
        return 429, headers | {"retry-after": "1"}, json.dumps(error).encode()


@contextmanager
def limited(**given: object) -> Iterator[str]:
    with server(Limited(**given)) as url:  # type: ignore[arg-type]
        yield url


def test_limit_that_is_not_enforced_fails(cloud: Cloud) -> None:
    """Requests beyond the limit have to be refused."""
    with limited(says=20, enforces=None) as url:
        evidence = cloud.failed("rate-limit", url=url)

    assert evidence == "41 requests in a minute were accepted, the limit is 20 a minute"


def test_limit_that_is_one_lower_than_said_fails(cloud: Cloud) -> None:
    """An off-by-one is found, and not taken for another run that uses the same key."""
    with limited(says=20, enforces=19) as url:
        evidence = cloud.failed("rate-limit", url=url)

    assert evidence == "in each of 4 minutes 19 requests were accepted, 20 are the limit"


def test_request_that_counts_twice_fails(cloud: Cloud) -> None:
    """A limit that is used up by half of its requests is wrong."""
    with limited(says=20, enforces=20, cost=2) as url:
        evidence = cloud.failed("rate-limit", url=url)

    assert evidence == "in each of 4 minutes 10 requests were accepted, 20 are the limit"


def test_limit_that_is_never_reset_fails(cloud: Cloud) -> None:
    """After Retry-After the key has to be good again."""
    with limited(says=20, enforces=20, resets=False) as url:
        evidence = cloud.failed("rate-limit", url=url)

    assert evidence == "after the 1 s of Retry-After still 429"


def test_limit_that_is_right_passes(cloud: Cloud) -> None:
    """The stand-in itself is no reason to fail."""
    with limited(says=20, enforces=20) as url:
        result = cloud.check("rate-limit", url=url)["rate-limit"]

    assert result.verdict is Verdict.PASSED
    assert result.evidence.startswith("429 after exactly 20 requests")


def test_minute_that_another_run_has_begun_to_use_is_left_to_it(cloud: Cloud) -> None:
    """The limit is measured in a minute that is wholly ours: a retry beside a first attempt."""
    with limited(says=20, enforces=20, taken=5) as url:
        evidence = cloud.passed("rate-limit", url=url)

    assert evidence == (
        "429 after exactly 20 requests; the limit is 20 a minute; "
        "reset after the 1 s of RateLimit-Reset, from 14 left to 19"
    )

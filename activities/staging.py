"""Staging as its consumers see it: its address, its test key, and an HTTP client for both."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from temporalio import activity

from activities.inputs import StagingInput
from release.promotion import CheckResult, Verdict

KEY_HEADER = "X-API-Key"
_TIMEOUT_SECONDS = 10.0
_MAX_RATE_LIMIT_WAIT_SECONDS = 70


class Staging:
    """Finds an environment by its SSM parameter and secret; speaks HTTP to it."""

    def __init__(self, ssm: Any, secrets: Any) -> None:
        self._ssm = ssm
        self._secrets = secrets

    @contextmanager
    def client(self, order: StagingInput) -> Iterator["StagingClient"]:
        """A client of the environment, closed at the end."""
        prefix = f"{order.service}/{order.environment}"
        url = self._ssm.get_parameter(Name=f"/{prefix}/url")["Parameter"]["Value"]
        key = self._secrets.get_secret_value(SecretId=f"{prefix}/test-api-key")["SecretString"]
        with httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS) as client:
            yield StagingClient(client, key)


class StagingClient:
    """Requests with and without the key; a reached rate limit is waited out, not reported."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self._client = client
        self._key = key

    def get(self, path: str, *, key: str | None = "") -> httpx.Response:
        """The answer; `key` is the test key unless given, None sends none."""
        headers = {} if key is None else {KEY_HEADER: key or self._key}
        deadline = time.monotonic() + _MAX_RATE_LIMIT_WAIT_SECONDS
        while True:
            activity.heartbeat(path)
            answer = self._client.get(path, headers=headers)
            if answer.status_code != 429 or time.monotonic() > deadline:
                return answer
            time.sleep(min(1.0, float(answer.headers.get("Retry-After", "1"))))

    def timed(self, path: str) -> tuple[httpx.Response, float]:
        """The answer and its milliseconds."""
        begin = time.perf_counter()
        answer = self.get(path)
        return answer, (time.perf_counter() - begin) * 1000


class Check:
    """Collects what one check found wrong; the verdict follows from it."""

    def __init__(self, check_id: str, text: str) -> None:
        self.id = check_id
        self.text = text
        self._wrong: list[str] = []
        self._seen: list[str] = []

    def expect(self, holds: bool, otherwise: str) -> None:
        """Record `otherwise` unless it holds."""
        if not holds:
            self._wrong.append(otherwise)

    def saw(self, figure: str) -> None:
        """A figure for the evidence."""
        self._seen.append(figure)

    def result(self) -> CheckResult:
        """Passed unless something was wrong."""
        verdict = Verdict.FAILED if self._wrong else Verdict.PASSED
        evidence = "; ".join(self._wrong or self._seen)
        return CheckResult(id=self.id, text=self.text, verdict=verdict, evidence=evidence)


def body(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; an empty one if it is none."""
    try:
        value = json.loads(answer.text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

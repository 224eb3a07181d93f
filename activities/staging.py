"""Staging as its consumers see it: its address, its test keys, and an HTTP client for both."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, Self

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity

from activities.inputs import ChecksInput, SmokeInput, StagingInput
from activities.secrets import unlogged
from release.verdict import CheckResult, Verdict

KEY_HEADER = "X-API-Key"
_TIMEOUT_SECONDS = 10.0
_MAX_RATE_LIMIT_WAIT_SECONDS = 70
_MOST_FINDINGS = 10

Pause = Callable[[float], None]
"""Waits so many seconds; raises when there is nothing left to wait for."""


def heartbeat_and_wait(seconds: float) -> None:
    """The activity has said that it is alive, and the seconds have passed."""
    activity.heartbeat()
    time.sleep(seconds)


@dataclass(frozen=True)
class TestKeys:
    """An environment's own API keys; each kind is known in the logs by its masked form."""

    __test__ = False  # not pytest's

    ordinary: tuple[str, ...] = field(repr=False)
    outage: str = field(repr=False)  # asks for prices that are too old: 503 answers by intention
    rate_limit: str = field(repr=False)  # is driven into its limit

    @classmethod
    def of(cls, secret: str) -> Self:
        """The keys of the secret's JSON list.

        Raises:
            ValueError: it is not a list of at least 3 keys; nothing of it is repeated.
        """
        keys = json.loads(secret)
        if not isinstance(keys, list) or len(keys) < 3:
            raise ValueError("the secret of test API keys is not a JSON list of 3 or more")
        # httpx repeats an illegal header in its error, which would put the key into the history
        if not all(isinstance(key, str) and re.fullmatch(r"[!-~]+", key) for key in keys):
            raise ValueError("the secret of test API keys holds something else than keys")
        *ordinary, outage, rate_limit = keys
        return cls(tuple(ordinary), outage, rate_limit)

    def all(self) -> tuple[str, ...]:
        """Every key."""
        return (*self.ordinary, self.outage, self.rate_limit)


class NoTestKeys(Exception):
    """The environment's secret of test keys cannot be read, and a request needs one of them."""


class Staging:
    """Finds an environment by its SSM parameter and secret; speaks HTTP to it."""

    def __init__(self, ssm: Any, secrets: Any) -> None:
        self._ssm = ssm
        self._secrets = secrets

    @contextmanager
    def client(self, order: StagingInput | ChecksInput) -> Iterator["StagingClient"]:
        """A client of the environment, closed at the end."""
        with self.connect(order) as client:
            yield client

    def connect(
        self,
        order: StagingInput | ChecksInput | SmokeInput,
        pause: Pause = heartbeat_and_wait,
        transport: httpx.BaseTransport | None = None,
    ) -> "StagingClient":
        """A client of the environment, to be closed by its caller.

        Its keys are read when a request first needs one: a service without keys has no secret.
        With a `transport`, that is what the requests go through instead of the network.
        """
        prefix = f"{order.service}/{order.environment}"
        url = self._ssm.get_parameter(Name=f"/{prefix}/url")["Parameter"]["Value"]
        secret_id = f"{prefix}/test-api-keys"
        return StagingClient(url, cache(lambda: self._test_keys(secret_id)), pause, transport)

    def _test_keys(self, secret_id: str) -> TestKeys:
        try:
            with unlogged():
                found = self._secrets.get_secret_value(SecretId=secret_id)
            return TestKeys.of(found["SecretString"])
        except (ClientError, BotoCoreError, ValueError) as error:
            raise NoTestKeys(f"could not be measured: the secret {secret_id}: {error}") from error


class StagingClient:
    """Requests with and without a key. The ordinary keys take turns, so that none is used up.

    Threads may share it.
    """

    def __init__(
        self,
        url: str,
        keys: Callable[[], TestKeys],
        pause: Pause,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url
        self._keys = keys
        self.request_ids: list[str] = []  # of every answer that the service itself gave
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, transport=transport)
        self._pause = pause
        self._turn = count()

    @property
    def keys(self) -> TestKeys:
        """The environment's own keys.

        Raises:
            NoTestKeys: it has none, or does not tell them.
        """
        return self._keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(
        self,
        path: str,
        *,
        key: str | None = "",
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request's answer, a 429 too. `key` is the next in turn unless given; None is none."""
        self._pause(0)
        sent = dict(headers or {})
        if key is not None:
            turn = next(self._turn) % len(self.keys.ordinary)
            sent[KEY_HEADER] = key or self.keys.ordinary[turn]
        answer = self._client.request(method, path, headers=sent)
        if request_id := answer.headers.get("x-request-id"):
            self.request_ids.append(request_id)
        return answer

    def get(self, path: str, *, key: str | None = "", **request: Any) -> httpx.Response:
        """The answer; a reached rate limit is waited out, not reported."""
        return self.timed(path, key=key, **request)[0]

    def timed(
        self, path: str, *, key: str | None = "", **request: Any
    ) -> tuple[httpx.Response, float]:
        """The answer and its own milliseconds, without any waiting for the rate limit."""
        deadline = time.monotonic() + _MAX_RATE_LIMIT_WAIT_SECONDS
        while True:
            begin = time.perf_counter()
            answer = self.send(path, key=key, **request)
            milliseconds = (time.perf_counter() - begin) * 1000
            if answer.status_code != 429 or time.monotonic() > deadline:
                return answer, milliseconds
            self._pause(min(1.0, float(answer.headers.get("Retry-After", "1"))))


class Check:
    """Collects what one check found; the verdict follows from it.

    Failed is only what was measured and found wrong.
    """

    def __init__(self, check_id: str, text: str) -> None:
        self.id = check_id
        self.text = text
        self._wrong: list[str] = []
        self._unmeasured: list[str] = []
        self._not_applicable: list[str] = []
        self._seen: list[str] = []

    @property
    def is_wrong(self) -> bool:
        """Whether something was found wrong so far."""
        return bool(self._wrong)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Record `otherwise` unless it holds."""
        if not holds:
            self._wrong.append(otherwise)

    def saw(self, figure: str) -> None:
        """A figure for the evidence."""
        self._seen.append(figure)

    def not_applicable(self, reason: str) -> None:
        """There is nothing here that the check could be about."""
        self._not_applicable.append(reason)

    def could_not(self, reason: str) -> None:
        """Something was not measured, so the check cannot pass; measured again it may."""
        self._unmeasured.append(reason)

    def result(self) -> CheckResult:
        """Failed before inconclusive before not applicable; passed when none of them."""
        if self._wrong:
            return self._result(Verdict.FAILED, self._wrong)
        if self._unmeasured:
            return self._result(Verdict.INCONCLUSIVE, [*self._unmeasured, *self._seen])
        if self._not_applicable:
            return self._result(Verdict.NOT_APPLICABLE, self._not_applicable)
        return self._result(Verdict.PASSED, self._seen)

    def interrupted(self, reason: str) -> CheckResult:
        """Inconclusive, whatever was found until then: the check did not come to its end."""
        found = [*self._wrong, *self._seen]
        return self._result(Verdict.INCONCLUSIVE, [reason, *found])

    def _result(self, verdict: Verdict, parts: list[str]) -> CheckResult:
        shown, rest = parts[:_MOST_FINDINGS], len(parts) - _MOST_FINDINGS
        evidence = "; ".join([*shown, *([f"and {rest} more"] if rest > 0 else [])])
        return CheckResult(id=self.id, text=self.text, verdict=verdict, evidence=evidence)


def body(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; an empty one if it is none."""
    try:
        value = json.loads(answer.text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

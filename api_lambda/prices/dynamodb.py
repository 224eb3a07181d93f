"""A small DynamoDB client: signed JSON calls over one kept-alive connection."""

import json
import random
import ssl
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sigv4 import Signer
from variables import Settings
from wire import Connection

Item = dict[str, dict[str, Any]]

THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
}


class DynamoDBError(Exception):
    """DynamoDB refused the call; the same call would be refused again."""


class UnavailableError(Exception):
    """DynamoDB did not answer in time; the same call may succeed later."""


class ConditionFailedError(Exception):
    """The write's condition did not hold; `item` is what stands, empty when nothing does."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition did not hold")
        self.item = item


class Patience(NamedTuple):
    """How long one call may take: seconds a try, and tries after the first."""

    timeout: float
    retries: int


PATIENT = Patience(timeout=3.0, retries=3)
# For a key that memory can answer for, or once patience was lost: within two seconds all the same.
QUICK = Patience(timeout=0.4, retries=3)
# For answers that have something else to say at once: /health and a snapshot that still serves.
BRIEF = Patience(timeout=0.4, retries=0)


class _RetryError(Exception):
    """This try failed in a way that another may not."""


class DynamoDB:
    """Calls one region's DynamoDB; not for use by several threads.

    A retried write can have been carried out already: callers count on conditions, and an
    increment that is repeated errs towards counting too much. `spent_seconds` is the time spent
    in calls so far.
    """

    def __init__(self, settings: Settings) -> None:
        endpoint = urlsplit(settings.endpoint)
        self._secure = endpoint.scheme == "https"
        self._ca_bundle = settings.ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._name = endpoint.hostname or ""
        self._port = endpoint.port or (443 if self._secure else 80)
        self._host = endpoint.netloc.removesuffix(":443" if self._secure else ":80")
        self._token = settings.credentials.token
        self._signer = Signer(settings.credentials, settings.region, "dynamodb")
        self._connection: Connection | None = None
        self.deadline = float("inf")
        self.spent_seconds = 0.0

    def call(
        self, operation: str, request: dict[str, Any], patience: Patience = PATIENT
    ) -> dict[str, Any]:
        """DynamoDB's answer to `operation`.

        No try starts after `deadline` (of `time.monotonic()`), nor waits beyond it.

        Raises ConditionFailedError; UnavailableError once patience or time is used up;
        DynamoDBError for every other refusal, where retrying does not help.
        """
        payload = json.dumps(request).encode()
        for attempt in range(patience.retries + 1):
            started = time.monotonic()
            try:
                return self._try(operation, payload, patience.timeout)
            except _RetryError as error:
                cause = error
            finally:
                self.spent_seconds += time.monotonic() - started
            # jitter is no secret
            pause = random.uniform(0, 0.05 * 2**attempt)  # noqa: S311 # nosec B311
            if attempt == patience.retries or time.monotonic() + pause >= self.deadline:
                break
            time.sleep(pause)
        raise UnavailableError(f"{operation}: {cause}") from cause

    def _try(self, operation: str, payload: bytes, timeout: float) -> dict[str, Any]:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _RetryError("no time left")
        reused = self._connection is not None
        try:
            status, body = self._send(operation, payload, min(timeout, left))
        except OSError as error:
            self.close()
            # A server may drop an idle connection while Lambda had this process frozen.
            if reused and isinstance(error, ConnectionError):
                return self._try(operation, payload, timeout)
            raise _RetryError(f"{type(error).__name__}: {error}") from error
        return _read(status, body)

    def _send(self, operation: str, payload: bytes, timeout: float) -> tuple[int, bytes]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open(timeout)
        answer = connection.post(self._headers(operation, payload), payload, timeout)
        if not connection.is_open:
            self.close()
        return answer

    def _open(self, timeout: float) -> Connection:
        if self._secure and self._tls is None:  # kept: a lost connection reads no roots again
            self._tls = ssl.create_default_context(cafile=self._ca_bundle)
        return Connection(self._name, self._port, self._tls, timeout)

    def _headers(self, operation: str, payload: bytes) -> dict[str, str]:
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "host": self._host,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            "x-amz-target": f"DynamoDB_20120810.{operation}",
        }
        if self._token:
            headers["x-amz-security-token"] = self._token
        headers["authorization"] = self._signer.authorization("POST", "/", headers, payload)
        return headers

    def close(self) -> None:
        """The connection is closed; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read(status: int, body: bytes) -> dict[str, Any]:
    if status >= 500:
        raise _RetryError(f"HTTP {status}")
    try:
        answer: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise _RetryError(f"HTTP {status} without JSON") from error
    if status == 200:
        return answer
    kind = str(answer.get("__type", "")).rpartition("#")[2]
    if kind == "ConditionalCheckFailedException":
        raise ConditionFailedError(answer.get("Item") or {})
    if kind in THROTTLED:
        raise _RetryError(kind)
    raise DynamoDBError(f"{kind or status}: {answer.get('message') or answer.get('Message')}")

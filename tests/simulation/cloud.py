"""AWS in memory, at the level of boto3 clients: every write is kept, every call can go wrong."""

import bisect
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.simulation.clockwork import Clockwork

API, FETCHER = "crypto-watch-api-prod", "crypto-watch-fetcher-prod"
STAGING = ("crypto-watch-api-staging", "crypto-watch-fetcher-staging")
READ_TIMEOUT = 20.0


class Trouble(StrEnum):
    """How a call of AWS goes wrong (the fault list's F5 and F9)."""

    DOWN = "does not answer"
    THROTTLED = "throttles"
    SLOW = "is slow"
    LOST = "does it, but the answer is lost"
    RACED = "does it, and the SDK's second try meets the new revision"
    LATE = "does it long after the caller gave up"

    def __repr__(self) -> str:
        """As it is written in a plan, to be pasted."""
        return f"Trouble.{self.name}"


@dataclass
class Weather:
    """Which service is in what trouble, and until when."""

    clock: Clockwork
    until: dict[str, tuple[Trouble, float]] = field(default_factory=dict)
    last_end: float = 0.0
    all: list[tuple[str, float, float]] = field(default_factory=list)

    def bring(self, service: str, trouble: Trouble, seconds: float) -> None:
        """From now on, that long."""
        self.until[service] = (trouble, self.clock.now + seconds)
        self.all.append((service, self.clock.now, self.clock.now + seconds))
        self.last_end = max(self.last_end, self.clock.now + seconds)

    def of(self, service: str) -> Trouble | None:
        """The service's trouble now; half of the calls come through all but an outage."""
        trouble, until = self.until.get(service, (None, 0.0))
        if until <= self.clock.now:
            return None
        if trouble is not Trouble.DOWN and self.clock.random.random() < 0.4:
            return None
        return trouble


@dataclass
class Client:
    """A boto3 client: calls travel, may be lost either way, and may arrive after all."""

    clock: Clockwork
    weather: Weather
    service: str
    backend: Any

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return partial(self.call, operation)

    def get_paginator(self, operation: str) -> Any:
        """One page."""
        return _Paginator(self, operation)

    def call(self, operation: str, **arguments: Any) -> Any:
        """The answer, as late and as reliable as the weather lets it be."""
        clock = self.clock
        trouble = self.weather.of(self.service)
        if trouble is Trouble.DOWN:
            clock.sleep(clock.delay(1, 9))
            raise EndpointConnectionError(endpoint_url=f"https://{self.service}")
        if trouble is Trouble.THROTTLED:
            clock.sleep(clock.delay(0.2, 6))
            raise _error("TooManyRequestsException", operation)
        by = clock.current().name
        there = clock.delay(0.01, 0.4)
        back = clock.delay(0.01, 0.4)
        if trouble is Trouble.SLOW:
            there, back = clock.delay(0.1, 10), clock.delay(0.1, 9)
        elif trouble is Trouble.LATE and _writes(operation):
            there = READ_TIMEOUT + clock.delay(0, 45)
        landed: list[Any] = []

        def land() -> None:
            try:
                landed.append(getattr(self.backend, operation)(by, **arguments))
            except ClientError as error:
                landed.append(error)

        clock.after(there, land)
        if there > READ_TIMEOUT or (trouble is Trouble.LOST and _writes(operation)):
            clock.sleep(READ_TIMEOUT)
            raise ReadTimeoutError(endpoint_url=f"https://{self.service}")
        clock.sleep(there + back)
        (answer,) = landed
        if isinstance(answer, ClientError):
            raise answer
        if trouble is Trouble.RACED and operation == "update_alias":
            raise _error("PreconditionFailedException", operation)
        return answer


@dataclass
class _Paginator:
    client: Client
    operation: str

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        yield self.client.call(self.operation, **arguments)


@dataclass(frozen=True)
class Write:
    """An alias write that was taken."""

    at: float
    by: str
    function: str
    version: str
    weights: tuple[tuple[str, float], ...]
    description: str
    before: "Write | None"

    def share_of(self, version: str) -> float:
        """The version's share of the traffic."""
        split = dict(self.weights)
        return 1 - sum(split.values()) if version == self.version else split.get(version, 0.0)

    @property
    def is_whole(self) -> bool:
        """Whether one version has all traffic."""
        return not self.weights

    @property
    def text(self) -> str:
        """What it serves, for people."""
        split = ", ".join(f"{weight:.2%} on {version}" for version, weight in self.weights)
        return f"{self.function} → version {self.version}" + (f" with {split}" if split else "")


@dataclass
class LambdaBackend:
    """Versions, and aliases with `RevisionId` checks as Lambda documents them."""

    clock: Clockwork
    writes: list[Write] = field(default_factory=list)
    published: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0
    check_revision: bool = True

    def __post_init__(self) -> None:
        self._aliases: dict[str, dict[str, Any]] = {}
        self._last: dict[str, Write] = {}
        self._versions: dict[str, list[dict[str, Any]]] = {}
        self._revisions = 0
        for function in (API, FETCHER, *STAGING):
            self._versions[function] = [_version("$LATEST"), _version("1")]
            self._put("the beginning", function, "1", {}, "")
        self.writes.clear()

    def get_alias(self, by: str, FunctionName: str, Name: str) -> dict[str, Any]:
        """As it is now."""
        return dict(self._aliases[FunctionName])

    def update_alias(self, by: str, FunctionName: str, **new: Any) -> dict[str, Any]:
        """Taken only at the revision that was read."""
        revision = new.get("RevisionId")
        if revision and revision != self._aliases[FunctionName]["RevisionId"]:
            self.refused += 1
            raise _error("PreconditionFailedException", "UpdateAlias")
        weights = new.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return self._put(
            by, FunctionName, new["FunctionVersion"], weights, new.get("Description", "")
        )

    def get_function_configuration(self, by: str, FunctionName: str, **_: Any) -> dict[str, Any]:
        """Of $LATEST."""
        return self._versions[FunctionName][0]

    def update_function_configuration(self, by: str, FunctionName: str, **new: Any) -> None:
        """Of $LATEST."""
        self._versions[FunctionName][0] |= {"Environment": new["Environment"]}

    def update_function_code(self, by: str, FunctionName: str, S3Bucket: str, S3Key: str) -> None:
        """Of $LATEST."""
        import base64

        digest = bytes.fromhex(S3Key.removeprefix("lambda/").removesuffix(".zip"))
        self._versions[FunctionName][0]["CodeSha256"] = base64.b64encode(digest).decode()

    def publish_version(self, by: str, FunctionName: str, **new: Any) -> dict[str, Any]:
        """A new one; Lambda itself publishes none where code and configuration are the last's."""
        last = self._versions[FunctionName][-1]
        if last["CodeSha256"] == new["CodeSha256"]:
            return last
        version = _version(str(len(self._versions[FunctionName]))) | new
        self._versions[FunctionName].append(version)
        self.published.append((FunctionName, version["Version"]))
        return version

    def list_versions_by_function(self, by: str, FunctionName: str) -> dict[str, Any]:
        """All of them."""
        return {"Versions": list(self._versions[FunctionName][1:])}

    def last(self, function: str) -> Write:
        """How the alias came to be as it is."""
        return self._last[function]

    def _put(
        self, by: str, function: str, version: str, weights: dict[str, float], description: str
    ) -> dict[str, Any]:
        self._revisions += 1
        self._aliases[function] = {
            "FunctionVersion": version,
            "RoutingConfig": {"AdditionalVersionWeights": dict(weights)},
            "Description": description,
            "RevisionId": f"r{self._revisions}",
        }
        split = tuple((name, weight) for name, weight in weights.items() if weight)
        before = self._last.get(function)
        write = Write(self.clock.now, by, function, version, split, description, before)
        self._last[function] = write
        self.writes.append(write)
        same = before and (before.version, before.weights) == (version, split)
        if not same:
            self.clock.tell(f"{write.text}, by {by}")
        return dict(self._aliases[function])


@dataclass
class Traffic:
    """What users send, and how either version answers."""

    requests_per_second: float
    canary_fails: float
    baseline_fails: float = 0.002
    crashes: bool = False
    incidents: list[tuple[float, float]] = field(default_factory=list)
    forced_red: list[tuple[float, float]] = field(default_factory=list)

    def fails(self, version: str, at: float) -> float:
        """The version's share of failing requests."""
        if any(begin <= at < end for begin, end in self.incidents):
            return 0.5
        return self.canary_fails if version == "2" else self.baseline_fails


@dataclass
class CloudWatchBackend:
    """Metrics made from the traffic and the alias's own history; alarms by the rate of failures."""

    clock: Clockwork
    lambda_: LambdaBackend
    traffic: Traffic
    reads: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    canary_alarm: bool = False

    def put_metric_alarm(self, by: str, **_: Any) -> None:
        """The canary's."""
        self.canary_alarm = True

    def delete_alarms(self, by: str, **_: Any) -> None:
        """The canary's."""
        self.canary_alarm = False

    def describe_alarms(self, by: str, AlarmNames: list[str], **_: Any) -> dict[str, Any]:
        """Those that are red, of the names asked for."""
        if by != "guard":
            self.looks.append(self.clock.now)
        red = self.red()
        found = [
            {"AlarmName": name, "StateValue": "ALARM" if name in red else "OK"}
            for name in AlarmNames
            if name in red or not name.endswith("canary-errors") or self.canary_alarm
        ]
        if "StateValue" in _:
            found = [alarm for alarm in found if alarm["StateValue"] == "ALARM"]
        return {"MetricAlarms": found, "CompositeAlarms": []}

    def red(self) -> set[str]:
        """The names of the alarms that are red now."""
        now, prefix = self.clock.now, "crypto-watch-backend-prod"
        red = set()
        if any(begin <= now < end for begin, end in self.traffic.forced_red):
            red.add(f"{prefix}-api-5xx")
        if self._breaches(None):
            red.add(f"{prefix}-lambda-errors")
        return red

    def _breaches(self, version: str | None) -> bool:
        """Two minutes over 5 %, as CloudWatch sees them some seconds late."""
        minute = (self.clock.now - 10) // 60 * 60
        for begin in (minute - 120, minute - 60):
            at = begin + 30
            shares = self._shares(at)
            requests = self.traffic.requests_per_second * 60
            failing = sum(share * self.traffic.fails(v, at) for v, share in shares.items())
            if requests * failing < 3 or failing <= 0.05:
                return False
        return True

    def get_metric_data(
        self, by: str, MetricDataQueries: list[dict[str, Any]], StartTime: Any, EndTime: Any
    ) -> dict[str, Any]:
        """Every bucket between the times."""
        start, end = StartTime.timestamp(), EndTime.timestamp()
        self.reads.append(self.clock.now)
        return {
            "MetricDataResults": [
                self._series(query["Id"], query["MetricStat"], start, end)
                for query in MetricDataQueries
            ]
        }

    def _series(self, identity: str, stat: dict[str, Any], start: float, end: float) -> Any:
        metric, period = stat["Metric"], stat["Period"]
        dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
        name, version = metric["MetricName"], dimensions.get("ExecutedVersion")
        timestamps, values = [], []
        at = start // period * period
        if end - start > 3600 * 2 or period > 3600:  # a day's latencies, before the release
            return _result(identity, [], [])
        if version is None and name == "Invocations":  # an hour's rate, before the release
            value = self.traffic.requests_per_second * 60
            return _result(identity, [_utc(at)], [value] if value else [0.0])
        while at < end:
            value = self._value(name, version or "", at, period)
            if value:
                timestamps.append(_utc(at))
                values.append(float(value))
            at += period
        return _result(identity, timestamps, values)

    def _value(self, name: str, version: str, at: float, period: float) -> int:
        middle = at + period / 2
        share = self._shares(middle).get(version, 0.0)
        if not share:
            return 0
        seed = zlib.crc32(f"{version}{at}".encode()) ^ self.clock.seed
        chance = random.Random(seed)  # nosec B311  a bucket is the same whenever it is read
        requests = _rounded(self.traffic.requests_per_second * share * period, chance)
        failures = _rounded(requests * self.traffic.fails(version, middle), chance)
        crashes = self.traffic.crashes and version == "2"
        counts = {
            "Requests": 0 if crashes else requests,
            "ServerErrors": 0 if crashes else failures,
            "Invocations": requests,
            "Errors": failures if crashes else 0,
        }
        return counts.get(name, 0)

    def _shares(self, at: float) -> dict[str, float]:
        writes = [write for write in self.lambda_.writes if write.function == API]
        index = bisect.bisect_right([write.at for write in writes], at) - 1
        if index < 0:
            return {"1": 1.0}
        write = writes[index]
        split = dict(write.weights)
        return {write.version: 1 - sum(split.values())} | split


def _rounded(expected: float, chance: random.Random) -> int:
    whole = int(expected)
    return whole + (chance.random() < expected - whole)


def _result(identity: str, timestamps: list[Any], values: list[float]) -> dict[str, Any]:
    return {"Id": identity, "Timestamps": timestamps, "Values": values}


def _utc(at: float) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC)


def _version(number: str) -> dict[str, Any]:
    return {"Version": number, "CodeSha256": "", "Description": "", "RevisionId": "r"}


def _writes(operation: str) -> bool:
    return operation.startswith(("update", "publish", "put"))


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)

"""What every check gets: the order, the clients, and what several checks need, made once."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from activities.aws import AwsClients
from activities.checks.logs import LogReader, Window
from activities.checks.metrics import Metric, MetricReader
from activities.git import git
from activities.inputs import ChecksInput
from activities.staging import Check, Staging, StagingClient
from release.alarms import metrics_namespace
from release.policy import parse_policy

FETCHER = "fetcher"
PRODUCTION = "prod"
_POLL_SECONDS = 1.0
_LOAD_SECONDS = 120
_CLOCK_SKEW = timedelta(minutes=1)  # between this clock and that of the logs
_DEFAULT_SYMBOLS = "BTC,ETH"

T = TypeVar("T")


class Stopped(Exception):
    """The checks are to end: the activity was cancelled or its time is over."""


@dataclass(frozen=True)
class Patience:
    """How long the checks wait for what comes late; AWS's metrics do by a minute or two."""

    logs: timedelta = timedelta(seconds=60)
    metrics: timedelta = timedelta(seconds=180)
    fetch: timedelta = timedelta(seconds=30)  # one that is due may be under way
    all_checks: timedelta = timedelta(minutes=7)


class Once(Generic[T]):
    """A value that is made by whichever thread asks first. That it cannot be made is kept too."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._failure: Exception | None = None

    def __call__(self) -> T:
        """The value; raises what making it raised."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._made:
                try:
                    self._made.append(self._make())
                except Exception as error:
                    self._failure = error
                    raise
            return self._made[0]


class Arrival(NamedTuple):
    """What of the run's own requests has arrived somewhere, and how long that took."""

    expected: int
    arrived: int
    seconds: float


class CheckContext:
    """One run of the checks. Its attributes may be used by several threads."""

    def __init__(
        self,
        order: ChecksInput,
        staging: Staging,
        aws: AwsClients,
        repository: Path,
        patience: Patience,
    ) -> None:
        self.order = order
        self.aws = aws
        self.patience = patience
        self.started = datetime.now(UTC)
        self.metrics = MetricReader(aws.cloudwatch)
        self.http: Once[StagingClient] = Once(lambda: staging.connect(order, self.pause))
        self.api_version = Once(lambda: self.alias(self.function(order.api))["FunctionVersion"])
        self.symbols = Once(self._symbols)
        self.price_times = Once(lambda: self.times(self.prices_path()))
        self.log_arrival = Once(self._wait_for_log)
        self.log_window = Once(self._read_log)
        self.metric_arrival = Once(self._wait_for_metrics)
        self._repository = repository
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Whatever waits, or sends its next request, ends."""
        self._stopping.set()

    def close(self) -> None:
        """The connections are closed, if any were made."""
        try:
            self.http().__exit__()
        except Exception:  # there was no client: why, the checks that needed it have said
            return

    def pause(self, seconds: float) -> None:
        """The seconds have passed. Raises Stopped, at once, when the run is to end."""
        if self._stopping.wait(seconds):
            raise Stopped("the run was ended before the check was done")

    def until(self, arrived: Callable[[], bool], patience: timedelta) -> float:
        """Seconds until it was so, or until the patience was over."""
        begin = time.monotonic()
        while not arrived() and time.monotonic() - begin < patience.total_seconds():
            self.pause(min(_POLL_SECONDS, patience.total_seconds()))
        return time.monotonic() - begin

    def function(self, name: str) -> str:
        """The full name of one of the release's functions in staging."""
        return self.order.functions[name]

    def alias(self, function: str) -> Any:
        """The alias of a function, by its full name."""
        return self.aws.lambda_.get_alias(FunctionName=function, Name=self.order.alias)

    def configuration(self, function: str, qualifier: str = "") -> Any:
        """The configuration of a version, by default the one that the alias serves."""
        return self.aws.lambda_.get_function_configuration(
            FunctionName=function, Qualifier=qualifier or self.order.alias
        )

    def log_group(self, function: str) -> str:
        """Where a function logs, by its full name."""
        own = self.configuration(function).get("LoggingConfig") or {}
        return str(own.get("LogGroup") or f"/aws/lambda/{function}")

    def served_versions(self) -> dict[str, str]:
        """Log group → the version that the alias serves, of each function."""
        return {
            self.log_group(function): self.alias(function)["FunctionVersion"]
            for function in self.order.functions.values()
        }

    def prices_path(self) -> str:
        """The request for every price that staging serves."""
        return f"/prices?symbols={','.join(self.symbols())}"

    def own_metric(self, name: str) -> Metric:
        """One of the service's own metrics, of the version under test."""
        function = self.function(self.order.api)
        dimensions = {"FunctionName": function, "ExecutedVersion": self.api_version()}
        return Metric(metrics_namespace(self.order.service), name, dimensions)

    def file_of_commit(self, path: str) -> str | None:
        """The file as it stands in the commit; None where the commit has none.

        Raises:
            RuntimeError: the repository does not know the commit.
        """
        if self._git("cat-file", "-e", f"{self.order.sha}^{{commit}}") is None:
            raise RuntimeError(f"{self._repository} has no commit {self.order.sha[:12]}")
        return self._git("show", f"{self.order.sha}:{path}")

    def source(self, function: str) -> str:
        """The folder of one of the functions, as the commit's policy has it.

        Raises:
            RuntimeError: the commit is not known, or has no policy.
        """
        text = self.file_of_commit("release.toml")
        if text is None:
            raise RuntimeError(f"{self.order.sha[:12]} has no release.toml")
        return parse_policy(text).functions[function].source

    def _git(self, *arguments: str) -> str | None:
        done = git(self._repository, *arguments)
        return done.stdout if done.returncode == 0 else None

    def _symbols(self) -> tuple[str, ...]:
        """What staging fetches, hence serves."""
        fetcher = self.order.functions.get(FETCHER)
        variables: dict[str, str] = {}
        if fetcher is not None:
            variables = self.configuration(fetcher).get("Environment", {}).get("Variables", {})
        names = variables.get("SYMBOLS", _DEFAULT_SYMBOLS).split(",")
        return tuple(name.strip().upper() for name in names if name.strip())

    def times(self, path: str, key: str | None = "") -> list[tuple[int, float]]:
        """Status and milliseconds of `limits.requests` requests, after one that warms the instance.

        A cold start is judged by the traffic shift, on real requests. A service so slow that the
        time runs out has made fewer requests.
        """
        self.http().get(path, key=key)
        deadline = time.monotonic() + _LOAD_SECONDS
        times: list[tuple[int, float]] = []
        while len(times) < self.order.limits.requests and time.monotonic() < deadline:
            answer, milliseconds = self.http().timed(path, key=key)
            times.append((answer.status_code, milliseconds))
        return times

    def _wait_for_log(self) -> Arrival:
        """Every request made so far has its line in the API's log, or the patience is over."""
        wanted = set(self.http().request_ids) | {self._probe()}
        group = self.log_group(self.function(self.order.api))
        reader, since = LogReader(self.aws.logs, self.pause), self.started - _CLOCK_SKEW
        found: set[str] = set()

        def arrived() -> bool:
            text = "\n".join(line.text for line in reader.read([group], since).lines)
            found.update(request_id for request_id in wanted if request_id in text)
            return found == wanted

        seconds = self.until(arrived, self.patience.logs)
        return Arrival(len(wanted), len(found), seconds)

    def _probe(self) -> str:
        """The request id of a request made now."""
        return str(self.http().get("/health", key=None).headers["x-request-id"])

    def _read_log(self) -> Window:
        """The log of all functions over the policy's window, this run's requests included."""
        arrival = self.log_arrival()
        if not arrival.arrived:
            raise RuntimeError(f"no line of this run was in the log after {arrival.seconds:.0f} s")
        since = self.started - timedelta(hours=self.order.limits.log_window_hours)
        groups = [self.log_group(function) for function in self.order.functions.values()]
        return LogReader(self.aws.logs, self.pause).read(groups, since)

    def _wait_for_metrics(self) -> Arrival:
        """Every request made so far is counted by the service's metric, or the patience is over."""
        self._probe()
        expected = len(self.http().request_ids)
        metric, counted = self.own_metric("Requests"), 0

        def arrived() -> bool:
            nonlocal counted
            counted = round(self.metrics.total(metric, self.started))
            return counted >= expected

        seconds = self.until(arrived, self.patience.metrics)
        return Arrival(expected, counted, seconds)


CheckFunction = Callable[[CheckContext, Check], None]

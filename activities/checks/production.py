"""Production after a release, looked at gently: read-only, a few requests, no limit used up."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from activities.aws import AwsClients
from activities.checks import data
from activities.checks.cache import expect_fresh
from activities.checks.context import FETCHER, CheckContext, Patience
from activities.checks.contract import expect_as_documented
from activities.checks.logs import Line, LogReader
from activities.checks.monitoring import error_in, json_object
from activities.inputs import WatchInput
from activities.invoke import DRY_RUN, invoke
from activities.staging import Check, Staging, body
from release.alarms import MIN_FAILURES, rollback_alarm_names
from release.text import one_line
from release.verdict import Verdict

_MOST_LOG_BYTES = 4 * 1024 * 1024  # of a look: it reads a busy function's newest lines only
_DAY_BEFORE = timedelta(hours=1)  # of log; a whole day of a busy one would be too much to read
_LIMITED = "/prices/BTC"


class ProductionContext(CheckContext):
    """One look at production."""

    order: WatchInput

    def __init__(
        self,
        order: WatchInput,
        staging: Staging,
        aws: AwsClients,
        repository: Path,
        patience: Patience,
    ) -> None:
        super().__init__(order, staging, aws, repository, patience)
        self.since = max(order.released_at, self.started - order.span)
        self.red_before = order.red_before

    @property
    def version(self) -> str:
        """The release's version of the API."""
        return self.order.published[self.order.api]

    @property
    def version_before(self) -> str:
        """The API's version before the release."""
        return self.order.baseline[self.order.api]


ProductionFunction = Callable[[ProductionContext, Check], None]


def health(context: ProductionContext, check: Check) -> None:
    """The health endpoint answers 200, from the release."""
    answer = context.http().get("/health", key=None)
    sha = body(answer).get("gitSha")
    check.expect(answer.status_code == 200, f"GET /health answered {answer.status_code}")
    # another answer than 200 need not name its commit
    ours = sha == context.order.sha or answer.status_code != 200
    check.expect(ours, f"GET /health is answered by {sha}, not by {context.order.sha[:12]}")
    check.saw(f"GET /health 200 from {context.order.sha[:12]}")


def endpoints(context: ProductionContext, check: Check) -> None:
    """Every documented example answers as documented."""
    expect_as_documented(context.http(), check)


def traffic(context: ProductionContext, check: Check) -> None:
    """Every function's alias serves the release, all of its traffic."""
    for name, version in context.order.published.items():
        alias = context.alias(context.function(name))
        served = alias["FunctionVersion"]
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        check.expect(served == version, f"{name} serves version {served}, not {version}")
        if weights:
            check.could_not(f"{name}: traffic is being moved, {weights}")
        check.saw(f"{name} 100 % on version {version}")


def alarms(context: ProductionContext, check: Check) -> None:
    """No alarm is red; one that is red since before the release is not ours."""
    cloudwatch, order = context.aws.cloudwatch, context.order
    names = rollback_alarm_names(order.service, order.environment)
    found = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    red = {alarm["AlarmName"]: alarm.get("StateReason", "") for alarm in found if _is_red(alarm)}
    context.red_before = tuple(name for name in context.red_before if name in red)
    missing = sorted(set(names) - {alarm["AlarmName"] for alarm in found})
    if missing:
        check.could_not(f"there is no alarm {', '.join(missing)}")
    for name, reason in red.items():
        if name in context.red_before:
            check.saw(f"{name} is red since before the release: not ours")
        else:
            check.expect(False, f"{name} is red: {one_line(reason)}")
    check.saw(f"{len(found) - len(red)} of {len(names)} alarms are not red")


def alarms_since(context: ProductionContext, check: Check) -> None:
    """No alarm went red since the last look, not even for a while."""
    order = context.order
    for name in rollback_alarm_names(order.service, order.environment):
        history = context.aws.cloudwatch.describe_alarm_history(
            AlarmName=name,
            HistoryItemType="StateUpdate",
            StartDate=context.since,
            EndDate=datetime.now(UTC),
        )["AlarmHistoryItems"]
        for item in history:
            if item["HistorySummary"].endswith("to ALARM"):
                at = f"{item['Timestamp'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                check.expect(False, f"{name} went red at {at}")


def price_updates(context: ProductionContext, check: Check) -> None:
    """Prices are young, and the schedule that renews them is enabled.

    Where the fetcher before could not fetch either, it is the price feed that fails.
    """
    found = Check(check.id, check.text)
    data.price_updates(context, found)
    result = found.result()
    if result.verdict is Verdict.FAILED and not _fetches_before(context):
        check.could_not(f"{result.evidence}; the fetcher before this release cannot fetch either")
    elif result.verdict is Verdict.FAILED:
        check.expect(False, result.evidence)
    elif result.verdict is Verdict.INCONCLUSIVE:
        check.could_not(result.evidence)
    else:
        check.saw(result.evidence)


def _fetches_before(context: ProductionContext) -> bool:
    """Whether the fetcher that ran before the release can fetch now; it writes nothing."""
    version = context.order.baseline.get(FETCHER)
    if version is None:
        return False
    invoked = invoke(context.aws.lambda_, context.function(FETCHER), version, DRY_RUN)
    return not invoked.failed and (json_object(invoked.payload) or {}).get("status") == "ok"


def logs(context: ProductionContext, check: Check) -> None:
    """The release's versions log no kind of error that those before did not log."""
    order = context.order
    ours = _errors(context, order.published, context.since)
    # also while weights stood beside it the version before wrote its own lines
    known = _errors(context, order.baseline, order.released_at - _DAY_BEFORE)
    for error, times in ours.most_common():
        new = error not in known
        check.expect(not new or times < MIN_FAILURES, f"{error} ({times} lines, not known before)")
        check.saw(f"{error} ({times} lines{', not known before' if new else ', as before'})")
    check.saw(f"{ours.total()} error lines since {context.since:%H:%M:%S}Z")


def _errors(context: ProductionContext, versions: dict[str, str], since: datetime) -> Counter[str]:
    by_group = {
        context.log_group(context.function(name)): version for name, version in versions.items()
    }
    reader = LogReader(context.aws.logs, context.pause, _MOST_LOG_BYTES)
    window = reader.read(list(by_group), since).of(by_group)
    kinds = [_kind(line) for line in window.lines]
    return Counter(kind for kind in kinds if kind)


def _kind(line: Line) -> str:
    """What kind of error the line tells of, if of any; the service's own 503 is about prices."""
    document = json_object(line.text) or {}
    if document.get("status") == 503 and "exception" not in document:
        return ""
    error = error_in(line.text)
    return f"{line.group.rpartition('/')[2]}: {error}" if error else ""


def rate_limit(context: ProductionContext, check: Check) -> None:
    """The limit is told and counts down, seen by three requests with a key that nobody else has."""
    http = context.http()
    answers = [http.send(_LIMITED, key=http.keys.rate_limit) for _ in range(3)]
    limits = {_number(answer, "ratelimit-limit") for answer in answers}
    left = [_number(answer, "ratelimit-remaining") for answer in answers]
    refused = [answer.status_code for answer in answers if answer.status_code == 429]
    check.expect(not refused, "a key that made three requests was refused with 429")
    check.expect(min(limits) > 0 and len(limits) == 1, f"RateLimit-Limit is {sorted(limits)}")
    # the minute may turn between two of them, but not twice
    falls = any(after == before - 1 for before, after in pairwise(left))
    check.expect(falls, f"RateLimit-Remaining of three requests is {left}")
    check.saw(f"limit {max(limits)} a minute; three requests left {left} of it")


def cache(context: ProductionContext, check: Check) -> None:
    """A fresh price may be kept and is revalidated without a body."""
    expect_fresh(context, check, context.http())


def _is_red(alarm: dict[str, Any]) -> bool:
    return bool(alarm["StateValue"] == "ALARM")


def _number(answer: Any, header: str) -> int:
    text = answer.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() else -1

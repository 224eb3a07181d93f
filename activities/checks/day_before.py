"""The release's metrics, held against those of the version before in its last day."""

from datetime import datetime, timedelta

from activities.checks.metrics import Metric
from activities.checks.production import ProductionContext, alarms_since
from activities.staging import Check
from release.alarms import metrics_namespace
from release.day_before import LEAST_SAMPLES, Finding, judge_errors, judge_latency
from release.promotion import Counts
from release.verdict import Verdict

_MINUTE, _QUARTER = timedelta(minutes=1), timedelta(minutes=15)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_LEAST_STORE_SAMPLES = 20  # behind a p99 that is judged


def error_rate(context: ProductionContext, check: Check) -> None:
    """The release fails no more often than the version before did."""
    minutes = _by_period(context, context.version, context.since, None, _MINUTE)
    _judge(check, judge_errors(_sum(minutes), _before(context)))


def latency(context: ProductionContext, check: Check) -> None:
    """The release answers no more slowly than the version before did."""
    limit_ms, worst = context.order.limits.price_p99_ms, _worst_p90(context)
    metric = _own(context, "WarmLatency", context.version)
    found = context.metrics.values(
        metric, context.since, *("p90", "p99", "SampleCount"), period=_QUARTER
    )
    judged = [q for q in found if q["SampleCount"] >= LEAST_SAMPLES]
    if not judged:
        most = max((q["SampleCount"] for q in found), default=0)
        check.could_not(
            f"at most {most:.0f} warm requests in a quarter; {LEAST_SAMPLES} are needed"
        )
    findings = [judge_latency(q["p90"], q["p99"], worst, limit_ms) for q in judged]
    for finding in findings:
        _judge(check, finding)


def anomalies(context: ProductionContext, check: Check) -> None:
    """Since the last look no alarm was red, and no quarter was worse than the day before."""
    alarms_since(context, check)
    latency(context, check)
    quarters = _by_period(context, context.version, context.since, None, _QUARTER)
    worst = max(quarters, key=lambda quarter: quarter.error_rate, default=Counts())
    verdict, figures = judge_errors(worst, _before(context))
    _judge(check, (verdict, f"worst quarter: {figures}"))


def metrics(context: ProductionContext, check: Check) -> None:
    """What the dashboards show: requests counted, DynamoDB in time, what was throttled."""
    totals = {
        name: context.metrics.total(_lambda(context, name, context.version), context.since)
        for name in ("Invocations", "Errors", "Throttles")
    }
    own = {
        name: context.metrics.total(_own(context, name, context.version), context.since)
        for name in ("Requests", "ClientErrors", "ServerErrors")
    }
    figures = ", ".join(f"{name} {value:.0f}" for name, value in (own | totals).items())
    if not totals["Invocations"]:
        check.could_not(f"nothing was invoked: {figures}")
    published = own["Requests"] > 0 or not totals["Invocations"]
    check.expect(published, f"Lambda counts invocations, the service no requests: {figures}")
    check.saw(figures)
    limit_ms = context.order.limits.dynamodb_p99_ms
    store = _own(context, "StoreLatency", context.version)
    for hour in context.metrics.values(store, context.since, "p99", "SampleCount", period=_HOUR):
        if hour["SampleCount"] >= _LEAST_STORE_SAMPLES:
            p99 = f"DynamoDB's p99 in an hour {hour['p99']:.1f} ms, allowed {limit_ms} ms"
            check.expect(hour["p99"] <= limit_ms, p99)
            check.saw(p99)


def _judge(check: Check, finding: Finding) -> None:
    verdict, figures = finding
    if verdict is Verdict.INCONCLUSIVE:
        check.could_not(figures)
    check.expect(verdict is not Verdict.FAILED, figures)
    check.saw(figures)


def _before(context: ProductionContext) -> Counts:
    """The version before in the day before the release."""
    released = context.order.released_at
    return _sum(_by_period(context, context.version_before, released - _DAY, released, _HOUR))


def _by_period(
    context: ProductionContext,
    version: str,
    since: datetime,
    until: datetime | None,
    period: timedelta,
) -> list[Counts]:
    """Answers of the service, and invocations that crashed and so wrote no metric of their own."""
    requests, failed, crashed = (
        context.metrics.by_time(metric, since, "Sum", period=period, until=until)
        for metric in (
            _own(context, "Requests", version),
            _own(context, "ServerErrors", version),
            _lambda(context, "Errors", version),
        )
    )

    def at(found: dict[datetime, dict[str, float]], moment: datetime) -> int:
        return round(found.get(moment, {}).get("Sum", 0))

    return [
        Counts(
            requests=at(requests, moment) + at(crashed, moment),
            failures=at(failed, moment) + at(crashed, moment),
        )
        for moment in sorted({*requests, *crashed})
    ]


def _sum(counts: list[Counts]) -> Counts:
    return Counts(
        requests=sum(one.requests for one in counts), failures=sum(one.failures for one in counts)
    )


def _worst_p90(context: ProductionContext) -> float | None:
    """Of the version before, in its worst hour of the day before; None if nothing was measured."""
    released = context.order.released_at
    found = context.metrics.values(
        _own(context, "WarmLatency", context.version_before),
        released - _DAY,
        *("p90", "SampleCount"),
        period=_HOUR,
        until=released,
    )
    return max((h["p90"] for h in found if h["SampleCount"] >= LEAST_SAMPLES), default=None)


def _own(context: ProductionContext, name: str, version: str) -> Metric:
    function = context.function(context.order.api)
    dimensions = {"FunctionName": function, "ExecutedVersion": version}
    return Metric(metrics_namespace(context.order.service), name, dimensions)


def _lambda(context: ProductionContext, name: str, version: str) -> Metric:
    function = context.function(context.order.api)
    resource = f"{function}:{context.order.alias}"
    dimensions = {"FunctionName": function, "Resource": resource, "ExecutedVersion": version}
    return Metric("AWS/Lambda", name, dimensions)

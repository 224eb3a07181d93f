"""Performance: times, memory, and what the service depends on."""

import json
import math
import re
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any

from activities.checks.context import FETCHER, CheckContext
from activities.checks.logs import Line
from activities.staging import Check

# the platform's report in a plain log, and in one of JSON lines
_REPORTED = re.compile(
    r"^REPORT RequestId: .*Max Memory Used: (\d+) MB"
    r'|^\{.*"type": ?"platform\.report".*"maxMemoryUsedMB": ?(\d+)'
)
_WARM_UP = 10  # invocations in which an instance's memory may still grow: imports, first reads
_LEAST_INVOCATIONS = 20  # in one instance; fewer say nothing of growth
_LEAST_SAMPLES = 20  # behind a p99 that is judged
_FEED_SECONDS = 5.0  # the contract gives a try of the feed 5 s


def price_latency(context: CheckContext, check: Check) -> None:
    """Price requests answer within their limit (p99)."""
    _expect_p99(check, context.price_times(), context.order.limits.price_p99_ms)
    check.saw(f"{len(context.symbols())} prices each")


def health_latency(context: CheckContext, check: Check) -> None:
    """The health check answers within its limit (p99)."""
    _expect_p99(check, context.times("/health", key=None), context.order.limits.health_p99_ms)


def _expect_p99(check: Check, answers: list[tuple[int, float]], limit_ms: int) -> None:
    times = sorted(milliseconds for _, milliseconds in answers)
    bad = [status for status, _ in answers if status != 200]
    p50, p99 = _rank(times, 0.5), _rank(times, 0.99)
    figures = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, slowest {times[-1]:.0f} ms"
    check.expect(not bad, f"{len(bad)} of {len(times)} requests were not answered with 200")
    check.expect(p99 < limit_ms, f"{figures} over {len(times)} requests; allowed {limit_ms} ms")
    check.saw(f"{figures} over {len(times)} requests; allowed {limit_ms} ms")


def _rank(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def memory(context: CheckContext, check: Check) -> None:
    """Memory of the Lambda instances stays flat under load."""
    context.price_times()  # the load; made already if anybody needed it
    log_group = context.log_group(context.function(context.order.api))
    window = context.log_window().of({log_group: context.api_version()})
    judge_memory(
        check,
        [line for line in window.lines if line.at >= context.started],
        context.order.limits.memory_growth_mb,
    )


def judge_memory(check: Check, lines: list[Line], allowed_mb: int) -> None:
    """By instance: the peak that the platform reports after the last invocation, against warm-up's.

    The report is of an instance's peak so far, so it never falls; flat is that it stops rising.
    """
    used_mb: defaultdict[str, list[int]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: line.at):
        if found := _REPORTED.match(line.text):
            used_mb[line.stream].append(int(found[1] or found[2]))
    measured = {name: used for name, used in used_mb.items() if len(used) >= _LEAST_INVOCATIONS}
    if not measured:
        most = max((len(used) for used in used_mb.values()), default=0)
        check.could_not(
            f"no instance reported its memory for {_LEAST_INVOCATIONS} invocations; most: {most}"
        )
        return
    for stream, used in measured.items():
        warm, last = max(used[:_WARM_UP]), used[-1]
        figures = f"{warm} → {last} MB over {len(used)} invocations"
        check.expect(
            last - warm <= allowed_mb,
            f"instance …{stream[-6:]}: {figures}, {last - warm} MB more; allowed {allowed_mb}",
        )
        check.saw(f"instance …{stream[-6:]}: {figures}")
    check.saw(f"allowed: {allowed_mb} MB more")


def dynamodb_latency(context: CheckContext, check: Check) -> None:
    """Reads and writes of DynamoDB take no longer than allowed (p99, measured by the service)."""
    context.price_times()
    context.metric_arrival()
    limit_ms = context.order.limits.dynamodb_p99_ms
    found = context.metrics.values(
        context.own_metric("StoreLatency"),
        context.started,
        *("p50", "p99", "SampleCount"),
        period=timedelta(hours=1),  # one figure for the run, or two when the hour turns in it
    )
    judged = [period for period in found if period["SampleCount"] >= _LEAST_SAMPLES]
    if not judged:
        samples = sum(period["SampleCount"] for period in found)
        check.could_not(
            f"StoreLatency has {samples:.0f} samples of version "
            f"{context.api_version()}; {_LEAST_SAMPLES} are needed"
        )
    for period in judged:
        figures = (
            f"p50 {period['p50']:.1f} ms, p99 {period['p99']:.1f} ms of DynamoDB in "
            f"{period['SampleCount']:.0f} requests of version {context.api_version()} within an "
            f"hour; allowed {limit_ms} ms"
        )
        check.expect(period["p99"] <= limit_ms, figures)
        check.saw(figures)


def price_feed(context: CheckContext, check: Check) -> None:
    """The external price feed gives every coin, in time; nothing is written by this."""
    if FETCHER not in context.order.functions:
        check.not_applicable(f"the release has no function {FETCHER!r}")
        return
    _fetch(context)  # a cold start is not the feed's doing
    begin = time.monotonic()
    result, error = _fetch(context)
    seconds = time.monotonic() - begin
    if error or result.get("dryRun") is not True:
        check.expect(False, f"the fetcher failed: {error or result}")
        return
    taken = len(result.get("updated", [])) + len(result.get("kept", []))
    refused = result.get("refused", {})
    check.expect(result.get("status") == "ok", f"the feed failed: {result.get('error')}")
    check.expect(not refused, f"refused: {refused}")
    check.expect(taken > 0, "the feed gave no price")
    check.expect(seconds < _FEED_SECONDS, f"took {seconds:.1f} s; allowed {_FEED_SECONDS:g} s")
    check.saw(
        f"{taken} of {taken + len(refused)} coins usable ({len(result.get('updated', []))} newer "
        f"than the table's) in {seconds:.2f} s; allowed {_FEED_SECONDS:g} s"
    )


def _fetch(context: CheckContext) -> tuple[dict[str, Any], str]:
    answer = context.aws.lambda_.invoke(
        FunctionName=context.function(FETCHER),
        Qualifier=context.order.alias,
        Payload=b'{"dryRun": true}',
    )
    text = answer["Payload"].read().decode(errors="replace")
    if "FunctionError" in answer:
        return {}, text[:300]
    found = json.loads(text)
    return (found, "") if isinstance(found, dict) else ({}, text[:300])

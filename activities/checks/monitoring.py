"""Monitoring: logs, metrics and alarms say what happens in staging."""

import json
import re
from collections import Counter
from typing import Any

from activities.checks.alarm_definitions import (
    described_alarms,
    differences,
    metrics_behind,
    wanted_alarms,
)
from activities.checks.context import CheckContext
from activities.checks.logs import Window
from activities.checks.metrics import Metric
from activities.staging import Check
from release.api_keys import masked

_BAD_LEVELS = {"error", "critical", "fatal"}
# The platform's own words for an invocation that came to no answer, and the runtime client's for
# one that raised; in JSON logs it is a record's `status`.
_PLATFORM_ERROR = re.compile(
    r"Task timed out after|Runtime exited|RequestId: \S+ Error:|Process exited before completing"
    r"|^\[ERROR\]|^Traceback \(most recent call last\)|Status: (timeout|error)"
)
_BAD_STATUS = {"error", "failure", "timeout"}


def logs(context: CheckContext, check: Check) -> None:
    """The log line of every request of this run has arrived."""
    arrival = context.log_arrival()
    figures = f"{arrival.arrived} of {arrival.expected} requests by their x-request-id"
    complete = arrival.arrived == arrival.expected
    check.expect(complete, f"after {arrival.seconds:.0f} s the log has {figures}")
    check.saw(f"the log has {figures}, the last made {arrival.seconds:.1f} s before")


def metrics(context: CheckContext, check: Check) -> None:
    """The executed version's metrics are published and count the requests made."""
    arrival = context.metric_arrival()
    version = context.api_version()
    figures = f"Requests of version {version} counts {arrival.arrived} of {arrival.expected} made"
    enough = arrival.arrived >= arrival.expected
    check.expect(enough, f"{figures}, after {arrival.seconds:.0f} s")
    latency = context.metrics.total(context.own_metric("Latency"), context.started, "SampleCount")
    check.expect(
        latency >= arrival.expected, f"Latency has {latency:.0f} samples, {arrival.expected} made"
    )
    check.saw(
        f"Requests of version {version} counts all {arrival.expected} made, "
        f"{arrival.seconds:.1f} s after the last; Latency has {latency:.0f} samples"
    )


def alarms(context: CheckContext, check: Check) -> None:
    """The flow's alarms exist, exactly as the release system defines them."""
    described = _described(context)
    for wanted in _wanted(context, described):
        name = wanted["AlarmName"]
        found = described.get(name)
        if found is None:
            check.expect(False, f"there is no alarm {name}")
            continue
        wrong = differences(wanted, found)
        if not found.get("ActionsEnabled", True):
            wrong.append("its actions are disabled")
        check.expect(not wrong, f"{name}: {', '.join(wrong)}")
        check.saw(f"{name}: {wanted['AlarmDescription']}")
    check.saw(f"periods of {context.order.alarm_period_seconds} s")


def alarm_thresholds(context: CheckContext, check: Check) -> None:
    """The alarms have the flow's thresholds and live data, and none is red."""
    context.metric_arrival()
    described = _described(context)
    samples = _samples(context, [m for alarm in described.values() for m in metrics_behind(alarm)])
    for wanted in _wanted(context, described):
        name = wanted["AlarmName"]
        found = described.get(name)
        if found is None:
            check.expect(False, f"there is no alarm {name}")
            continue
        limit = wanted["Threshold"]
        threshold = float(found.get("Threshold", "nan"))
        check.expect(threshold == limit, f"{name} has threshold {threshold:g}, not {limit}")
        state = found["StateValue"]
        check.expect(state != "ALARM", f"{name} is red: {found.get('StateReason')}")
        behind = {str(metric): samples[str(metric)] for metric in metrics_behind(found)}
        check.expect(any(behind.values()), f"{name} has no data: {_counted(behind)}")
        check.saw(f"{name} {state}, threshold {limit}; samples in this run: {_counted(behind)}")


def _samples(context: CheckContext, metrics_: list[Metric]) -> dict[str, float]:
    """How many samples of the run each metric has, once all have some or the patience is over."""
    counted: dict[str, float] = {}

    def all_have_data() -> bool:
        for metric in metrics_:
            if not counted.get(str(metric)):
                counted[str(metric)] = context.metrics.total(metric, context.started, "SampleCount")
        return all(counted.values())

    context.until(all_have_data, context.patience.metrics)
    return counted


def _counted(samples: dict[str, float]) -> str:
    return ", ".join(f"{metric} {count:.0f}" for metric, count in samples.items())


def _described(context: CheckContext) -> dict[str, dict[str, Any]]:
    order = context.order
    return described_alarms(context.aws.cloudwatch, order.service, order.environment)


def _wanted(context: CheckContext, described: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    order = context.order
    return wanted_alarms(
        described,
        service=order.service,
        environment=order.environment,
        api_function=context.function(order.api),
        alias=order.alias,
        period_seconds=order.alarm_period_seconds,
    )


def log_errors(context: CheckContext, check: Check) -> None:
    """Nothing unexpected stands in the log of the version under test."""
    window = context.log_window().of(context.served_versions())
    judge_errors(check, window, masked(context.http().keys.outage))


def judge_errors(check: Check, window: Window, outage_key: str) -> None:
    """No line tells of an error, but for the 503 answers that the checks provoke themselves.

    Those went to the masked key `outage_key` and have no exception in them.
    """
    found: Counter[str] = Counter()
    provoked = 0
    for line in window.lines:
        error = error_in(line.text)
        if error is not None and _is_provoked(line.text, outage_key):
            provoked += 1
        elif error is not None:
            found[f"{line.group.rpartition('/')[2]} version {line.version}: {error}"] += 1
    for error, times in found.most_common():
        check.expect(False, f"{error} ({times} lines)")
    versions = sorted({f"{line.group.rpartition('/')[2]}:{line.version}" for line in window.lines})
    check.saw(f"no error in {window}, of {' and '.join(versions) or 'no version'}")
    if provoked:
        check.saw(f"left out: {provoked} with status 503 that the cache check provoked")


def error_in(text: str) -> str | None:
    """What a line says went wrong; None where it tells of nothing wrong."""
    document = json_object(text)
    if document is None:
        return text[:160].replace("\n", " ") if _PLATFORM_ERROR.search(text) else None
    record = document.get("record")
    status = record.get("status") if isinstance(record, dict) else None
    if status in _BAD_STATUS:
        return f"{document.get('type')} {status}"
    if str(document.get("level", "")).lower() not in _BAD_LEVELS:
        return None
    exception = document.get("exception") or {}
    kind = exception.get("type", "") if isinstance(exception, dict) else str(exception)[-160:]
    parts = (document.get("event"), document.get("route"), document.get("status"), kind)
    said = " ".join(str(part) for part in parts if part)
    return said or text[:160]


def _is_provoked(text: str, outage_key: str) -> bool:
    document = json_object(text) or {}
    is_answer = document.get("status") == 503 and "exception" not in document
    return is_answer and document.get("apiKey") == outage_key


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a line is, or None."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

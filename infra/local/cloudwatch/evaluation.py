"""One evaluation of every alarm: metric alarms first, then the composites built on them.

A period is looked at once it is closed: `ingest_delay` seconds after its end, when its late samples
have arrived. CloudWatch retrieves "more" periods than EvaluationPeriods; the guide's examples have
two more, so that is the evaluation range here.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from infra.local.cloudwatch.alarm_rules import (
    ALARM,
    COMPARISONS,
    INSUFFICIENT_DATA,
    OK,
    alarm_state,
    rule_holds,
)
from infra.local.cloudwatch.queries import Queries
from infra.local.cloudwatch.store import Store

_log = logging.getLogger(__name__)
EXTRA_PERIODS = 2
Record = dict[str, Any]


def evaluate_all(store: Store, now: float, ingest_delay: float) -> None:
    """Every alarm stands in the state that the closed periods say."""
    for name, record in store.alarms().items():
        if record["type"] == "MetricAlarm":
            try:
                _evaluate_metric_alarm(store, name, record, now, ingest_delay)
            except Exception:  # the other alarms must still be evaluated
                _log.exception("alarm %s could not be evaluated", name)
    evaluate_composites(store, now)


def evaluate_composites(store: Store, now: float) -> None:
    """Every composite agrees with its parts; one that depends on itself stops after one round."""
    alarms = store.alarms()
    composites = {name: r for name, r in alarms.items() if r["type"] == "CompositeAlarm"}
    for _ in composites:
        states = {name: record["state"] for name, record in alarms.items()}
        changed = False
        for name, record in composites.items():
            rule = record["configuration"]["AlarmRule"]
            state = ALARM if rule_holds(rule, states) else OK
            if state != record["state"]:
                reason = f"The rule {rule} is {str(state == ALARM).lower()}."
                set_state(store, name, record, state, reason, {"version": "1.0"}, now)
                changed = True
        if not changed:
            return


def queries_of(configuration: Record) -> list[Record]:
    """A metric alarm's own, or the one that its single metric amounts to."""
    if "Metrics" in configuration:
        return list(configuration["Metrics"])
    metric = {
        key: configuration[key]
        for key in ("Namespace", "MetricName", "Dimensions")
        if key in configuration
    }
    stat = {
        "Metric": metric,
        "Period": configuration["Period"],
        "Stat": configuration.get("Statistic") or configuration["ExtendedStatistic"],
    }
    if "Unit" in configuration:
        stat["Unit"] = configuration["Unit"]
    return [{"Id": "m1", "MetricStat": stat}]


def period_of(configuration: Record) -> int:
    """Seconds in one datapoint of a metric alarm."""
    stats = [q["MetricStat"] for q in queries_of(configuration) if "MetricStat" in q]
    return max(int(stat["Period"]) for stat in stats)


def range_of(configuration: Record) -> int:
    """Seconds in the evaluation range of a metric alarm."""
    return (int(configuration["EvaluationPeriods"]) + EXTRA_PERIODS) * period_of(configuration)


def _evaluate_metric_alarm(
    store: Store, name: str, record: Record, now: float, ingest_delay: float
) -> None:
    configuration = record["configuration"]
    n, period = int(configuration["EvaluationPeriods"]), period_of(configuration)
    end = int(now - ingest_delay) // period * period
    times = range(end - range_of(configuration), end, period)
    ((_, [series]),) = Queries(store, queries_of(configuration), times.start, end).returned()
    points = [series.points.get(at) for at in times]
    threshold = configuration["Threshold"]
    compare = COMPARISONS[configuration["ComparisonOperator"]]
    state = alarm_state(
        points,
        n,
        int(configuration.get("DatapointsToAlarm", n)),
        lambda point: compare(point, threshold),
        _treatment(configuration),
        record["state"],
    )
    if state != record["state"]:
        judged = [(at, point) for at, point in zip(times, points, strict=True) if point is not None]
        _metric_alarm_changed(store, name, record, state, judged[-n:], now)


def _treatment(configuration: Record) -> str:
    # AWS: alarms on DynamoDB metrics always ignore missing data.
    if configuration.get("Namespace") == "AWS/DynamoDB":
        return "ignore"
    return str(configuration.get("TreatMissingData", "missing"))


def _metric_alarm_changed(
    store: Store,
    name: str,
    record: Record,
    state: str,
    judged: list[tuple[int, float]],
    now: float,
) -> None:
    configuration = record["configuration"]
    data = {
        "version": "1.0",
        "queryDate": _iso(now),
        "startDate": _iso(judged[0][0] if judged else now),
        "period": period_of(configuration),
        "recentDatapoints": [point for _, point in judged],
        "threshold": configuration["Threshold"],
        "evaluatedDatapoints": [{"timestamp": _iso(at), "value": v} for at, v in judged[::-1]],
    }
    statistic = configuration.get("Statistic") or configuration.get("ExtendedStatistic")
    if statistic:
        data["statistic"] = statistic
    set_state(store, name, record, state, _reason(configuration, state, judged), data, now)


def _reason(configuration: Record, state: str, judged: list[tuple[int, float]]) -> str:
    n = int(configuration["EvaluationPeriods"])
    if state == INSUFFICIENT_DATA or not judged:
        unknown = n - len(judged)
        why = "Insufficient Data" if state == INSUFFICIENT_DATA else "Threshold Crossed"
        treated = "" if state == INSUFFICIENT_DATA else f", treated as {_treatment(configuration)}"
        return f"{why}: {unknown} of {n} datapoints were unknown{treated}."
    compare, threshold = configuration["ComparisonOperator"], configuration["Threshold"]
    breaching = [(at, v) for at, v in judged if COMPARISONS[compare](v, threshold)]
    shown = breaching if state == ALARM else [p for p in judged if p not in breaching]
    values = ", ".join(
        f"{v} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, v in shown[::-1]
    )
    m = int(configuration.get("DatapointsToAlarm", n))
    verb = "was" if state == ALARM else "was not"
    return (
        f"Threshold Crossed: {len(shown)} out of the last {n} datapoints [{values}] {verb}"
        f" {_words(compare)} ({threshold}) (minimum {m} datapoints for ALARM)."
    )


def _words(comparison: str) -> str:
    """`GreaterThanThreshold` as `greater than the threshold`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in comparison)
    return words.strip().replace(" threshold", " the threshold")


def set_state(
    store: Store, name: str, record: Record, state: str, reason: str, data: Record, now: float
) -> None:
    """The alarm is in `state`; a change of it gets a line of history and a new transition time."""
    old = {"stateValue": record["state"], "stateReason": record["reason"]}
    new = {"stateValue": state, "stateReason": reason, "stateReasonData": data}
    changed = state != record["state"]
    record.update(state=state, reason=reason, reason_data=json.dumps(data), updated=now)
    with store.transaction():
        if changed:
            record["transitioned"] = now
            summary = f"Alarm updated from {old['stateValue']} to {state}"
            history = {"version": "1.0", "oldState": old, "newState": new}
            store.add_history(name, record["type"], "StateUpdate", summary, history, now)
        store.save_alarm(name, record)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")

"""Alarm evaluation over a real database, at chosen instants."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloudwatch.alarms_api import Alarms
from infra.local.cloudwatch.evaluation import evaluate_all
from infra.local.cloudwatch.statistics import Aggregate
from infra.local.cloudwatch.store import Datum, Metric, Store
from release.alarms import canary_alarm, rollback_alarms

NOON = 1_767_268_800  # a whole minute
ERRORS = Metric.of("N", "Errors", [])
REQUESTS = Metric.of("N", "Requests", [])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "cloudwatch.db"))
    yield opened
    opened.close()


@pytest.fixture
def alarms(store: Store) -> Alarms:
    return Alarms(store, "arn:aws:cloudwatch:eu-west-1:000000000000:alarm:")


def put(store: Store, metric: Metric, minute: int, value: float) -> None:
    store.put([Datum(metric, NOON + 60 * minute, "Count", Aggregate.of_values([value], [1]))])


def alarm(name: str, **changes: Any) -> dict[str, Any]:
    single = {"Namespace": "N", "MetricName": "Errors", "Statistic": "Sum", "Period": 60}
    common = {
        "AlarmName": name,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
    }
    return common | ({} if "Metrics" in changes else single) | changes


def state(store: Store, name: str) -> str:
    return str(store.alarms()[name]["state"])


def test_period_is_judged_only_when_closed_and_its_late_samples_are_in(
    store: Store, alarms: Alarms
) -> None:
    """A breach fires once the ingest delay after the minute's end has passed, not before."""
    alarms.put_metric_alarm(alarm("errors"))
    put(store, ERRORS, 0, 10)

    evaluate_all(store, NOON + 67.9, ingest_delay=8)
    assert state(store, "errors") == "INSUFFICIENT_DATA"

    evaluate_all(store, NOON + 68, ingest_delay=8)
    assert state(store, "errors") == "ALARM"


def test_two_of_three_needs_two_breaches(store: Store, alarms: Alarms) -> None:
    """One breach of three leaves OK, a second one within the three is an alarm."""
    alarms.put_metric_alarm(alarm("errors", EvaluationPeriods=3, DatapointsToAlarm=2))
    states = []
    for minute, value in enumerate([10, 0, 0, 10, 0, 10]):
        put(store, ERRORS, minute, value)
        evaluate_all(store, NOON + 60 * (minute + 1), ingest_delay=0)
        states.append(state(store, "errors"))
    assert states == ["INSUFFICIENT_DATA", "OK", "OK", "OK", "OK", "ALARM"]


def test_silence_returns_to_insufficient_data_after_the_evaluation_range(
    store: Store, alarms: Alarms
) -> None:
    """A 1-of-1 alarm looks back three periods; then a metric gone silent is unknown."""
    alarms.put_metric_alarm(alarm("errors"))
    put(store, ERRORS, 0, 0)
    states = []
    for minute in range(1, 5):
        evaluate_all(store, NOON + 60 * minute, ingest_delay=0)
        states.append(state(store, "errors"))
    assert states == ["OK", "OK", "OK", "INSUFFICIENT_DATA"]


def test_alarm_on_metric_math_judges_the_rate(store: Store, alarms: Alarms) -> None:
    """5 errors of 50 requests are 10 %; a minute without requests has no rate, and no alarm."""
    stat = {"Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": name, "ReturnData": False, "MetricStat": stat | {"Metric": metric.api()}}
        for name, metric in (("e", ERRORS), ("i", REQUESTS))
    ]
    rate = {"Id": "rate", "Expression": "IF(i > 0, 100 * FILL(e, 0) / i, 0)"}
    alarms.put_metric_alarm(
        alarm("rate", Metrics=[*queries, rate], TreatMissingData="notBreaching")
    )
    put(store, REQUESTS, 0, 50)
    evaluate_all(store, NOON + 60, ingest_delay=0)
    assert state(store, "rate") == "OK"

    put(store, ERRORS, 1, 5)
    put(store, REQUESTS, 1, 50)
    evaluate_all(store, NOON + 120, ingest_delay=0)
    assert state(store, "rate") == "ALARM"
    assert '"recentDatapoints": [10.0]' in store.alarms()["rate"]["reason_data"]

    evaluate_all(store, NOON + 600, ingest_delay=0)
    assert state(store, "rate") == "OK"


RELEASE_ALARMS = [
    *rollback_alarms("shop", "prod", "shop-api-prod", "live", "id", 60)[:2],
    canary_alarm("shop", "prod", "shop-api-prod", "2", 60),
]


@pytest.mark.parametrize("given", RELEASE_ALARMS, ids=lambda given: str(given["AlarmName"]))
def test_rate_alarm_needs_three_failures_in_a_period(
    store: Store, alarms: Alarms, given: dict[str, Any]
) -> None:
    """Two failures of two requests, twice, roll nothing back; three of three, twice, do."""
    alarms.put_metric_alarm(given)
    name = given["AlarmName"]
    stats = [query["MetricStat"]["Metric"] for query in given["Metrics"][:2]]
    errors, requests = (
        Metric.of(stat["Namespace"], stat["MetricName"], stat["Dimensions"]) for stat in stats
    )
    states = []
    for minute, count in enumerate([2, 2, 3, 3]):
        put(store, errors, minute, count)
        put(store, requests, minute, count)
        evaluate_all(store, NOON + 60 * (minute + 1), ingest_delay=0)
        states.append(state(store, name))
    assert states == ["OK", "OK", "OK", "ALARM"]
    assert '"recentDatapoints": [100.0, 100.0]' in store.alarms()[name]["reason_data"]


def test_composite_follows_its_parts_in_the_same_evaluation(store: Store, alarms: Alarms) -> None:
    """A composite of a composite, first by name, is right at once."""
    alarms.put_metric_alarm(alarm("z"))
    alarms.put_composite_alarm({"AlarmName": "y", "AlarmRule": 'ALARM("z")'})
    alarms.put_composite_alarm({"AlarmName": "a", "AlarmRule": 'ALARM("y") AND NOT OK("z")'})
    put(store, ERRORS, 0, 10)
    evaluate_all(store, NOON + 60, ingest_delay=0)
    assert [state(store, name) for name in "ayz"] == ["ALARM", "ALARM", "ALARM"]

    put(store, ERRORS, 1, 0)
    evaluate_all(store, NOON + 120, ingest_delay=0)
    assert [state(store, name) for name in "ayz"] == ["OK", "OK", "OK"]


def test_unbroken_state_writes_no_history(store: Store, alarms: Alarms) -> None:
    """Evaluations that change nothing leave one line for the creation and one for the change."""
    alarms.put_metric_alarm(alarm("errors"))
    put(store, ERRORS, 0, 10)
    for second in range(5):
        evaluate_all(store, NOON + 60 + second, ingest_delay=0)
    kinds = [line["item_type"] for line in store.history()]
    assert kinds == ["ConfigurationUpdate", "StateUpdate"]
    assert store.alarms()["errors"]["transitioned"] == NOON + 60


def test_a_broken_alarm_does_not_stop_the_others(store: Store, alarms: Alarms) -> None:
    """A record that cannot be evaluated costs only its own alarm."""
    alarms.put_metric_alarm(alarm("b"))
    alarms.put_metric_alarm(alarm("a"))
    record = store.alarms()["a"]
    del record["configuration"]["Threshold"]
    store.save_alarm("a", record)
    put(store, ERRORS, 0, 10)
    evaluate_all(store, NOON + 60, ingest_delay=0)
    assert state(store, "b") == "ALARM"


def test_pruning_forgets_old_samples_only(store: Store) -> None:
    """What is older than the limit is gone; what is at the limit stays."""
    for minute in range(3):
        put(store, ERRORS, minute, 1)
    store.prune(data_before=NOON + 60, history_before=0)
    assert sorted(store.aggregates(ERRORS, NOON, NOON + 180, 60)) == [NOON + 60, NOON + 120]

"""The alarm calls over real HTTP, with the boto3 client that the product uses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local.cloudwatch_parts import (
    alarm,
    described,
    minute,
    put,
    query,
    refused,
    state_becomes,
)

pytest_plugins = ["tests.local.cloudwatch_fixtures"]

CREATION = "Unchecked: Initial alarm creation"


def test_metric_alarm_lives(cloudwatch: Any, namespace: str) -> None:
    """INSUFFICIENT_DATA, ALARM on a breach, kept when put again, OK after; all in history."""
    definition = alarm(namespace, AlarmDescription="d", Tags=[{"Key": "k", "Value": "v"}])
    name = definition["AlarmName"]
    cloudwatch.put_metric_alarm(**definition)
    new = described(cloudwatch, name)
    assert (new["StateValue"], new["StateReason"]) == ("INSUFFICIENT_DATA", CREATION)
    assert new["AlarmArn"] == f"arn:aws:cloudwatch:eu-west-1:000000000000:alarm:{name}"
    assert (new["ActionsEnabled"], new["Dimensions"], new["Threshold"]) == (True, [], 5)

    put(cloudwatch, namespace, minute(1), Value=10)
    fired = state_becomes(cloudwatch, name, "ALARM")
    assert fired["StateReason"].startswith(
        "Threshold Crossed: 1 out of the last 1 datapoints [10.0"
    )
    assert '"recentDatapoints": [10.0]' in fired["StateReasonData"]
    assert fired["StateTransitionedTimestamp"] > new["StateTransitionedTimestamp"]

    cloudwatch.put_metric_alarm(**definition | {"AlarmDescription": "changed"})
    kept = described(cloudwatch, name)
    assert (kept["StateValue"], kept["AlarmDescription"]) == ("ALARM", "changed")
    assert kept["StateTransitionedTimestamp"] == fired["StateTransitionedTimestamp"]

    cloudwatch.put_metric_alarm(**definition | {"Threshold": 100})
    state_becomes(cloudwatch, name, "OK")
    history = cloudwatch.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == [
        f'Alarm "{name}" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f'Alarm "{name}" updated',
        f'Alarm "{name}" updated',
        "Alarm updated from ALARM to OK",
    ]


def test_percentile_alarm_fires(cloudwatch: Any, namespace: str) -> None:
    """An alarm on p99 reads the distribution."""
    put(cloudwatch, namespace, minute(1), Values=[1, 900], Counts=[50, 50])
    cloudwatch.put_metric_alarm(**alarm(namespace, ExtendedStatistic="p99", Threshold=800))
    fired = state_becomes(cloudwatch, f"{namespace}-alarm", "ALARM")
    assert fired["ExtendedStatistic"] == "p99"


def test_math_alarm_fires(cloudwatch: Any, namespace: str) -> None:
    """An alarm on an expression is stored and evaluated with it."""
    put(cloudwatch, namespace, minute(1), Value=2)
    metrics = [query(namespace, "Sum", ReturnData=False), {"Id": "e", "Expression": "m * 10"}]
    cloudwatch.put_metric_alarm(**alarm(namespace, Metrics=metrics))
    fired = state_becomes(cloudwatch, f"{namespace}-alarm", "ALARM")
    assert fired["Metrics"] == metrics


def test_composite_alarm_follows_set_states(cloudwatch: Any, namespace: str) -> None:
    """A composite reads its parts' states; treating missing as `ignore` keeps a set state."""
    first, second = f"{namespace}-1", f"{namespace}-2"
    for name in (first, second):
        cloudwatch.put_metric_alarm(**alarm(namespace, AlarmName=name, TreatMissingData="ignore"))
    both = f"{namespace}-both"
    rule = f'ALARM("{first}") AND NOT ALARM("{second}")'
    cloudwatch.put_composite_alarm(AlarmName=both, AlarmRule=rule)
    state_becomes(cloudwatch, both, "OK")

    cloudwatch.set_alarm_state(AlarmName=first, StateValue="ALARM", StateReason="drill")
    assert described(cloudwatch, both)["StateValue"] == "ALARM"
    assert described(cloudwatch, first)["StateReason"] == "drill"

    cloudwatch.set_alarm_state(AlarmName=second, StateValue="ALARM", StateReason="drill")
    assert described(cloudwatch, both)["StateValue"] == "OK"


def test_describe_alarms_selects_and_pages(cloudwatch: Any, namespace: str) -> None:
    """By prefix, names, state and type; composites only when asked for; pages in order of names."""
    names = [f"{namespace}-{number}" for number in range(5)]
    for name in names:
        cloudwatch.put_metric_alarm(**alarm(namespace, AlarmName=name, TreatMissingData="ignore"))
    cloudwatch.put_composite_alarm(AlarmName=f"{namespace}-c", AlarmRule=f'OK("{names[0]}")')
    cloudwatch.set_alarm_state(AlarmName=names[3], StateValue="ALARM", StateReason="drill")

    pages = list(
        cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=namespace, PaginationConfig={"PageSize": 2}
        )
    )
    assert [[one["AlarmName"] for one in page["MetricAlarms"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]
    red = cloudwatch.describe_alarms(AlarmNamePrefix=namespace, StateValue="ALARM")
    assert [one["AlarmName"] for one in red["MetricAlarms"]] == [names[3]]
    every = cloudwatch.describe_alarms(
        AlarmNamePrefix=namespace, AlarmTypes=["CompositeAlarm", "MetricAlarm"]
    )
    assert (len(every["MetricAlarms"]), len(every["CompositeAlarms"])) == (5, 1)
    assert cloudwatch.describe_alarms(AlarmNames=["nobody"])["MetricAlarms"] == []


def test_deleted_alarm_is_gone_but_its_history_is_not(cloudwatch: Any, namespace: str) -> None:
    """Deleting is final and may be repeated; the history can still be read, in pages."""
    name = f"{namespace}-alarm"
    cloudwatch.put_metric_alarm(**alarm(namespace))
    for _ in range(2):
        cloudwatch.delete_alarms(AlarmNames=[name, "nobody"])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name,
        HistoryItemType="ConfigurationUpdate",
        StartDate=minute(1),
        EndDate=datetime.now(UTC) + timedelta(seconds=1),
        PaginationConfig={"PageSize": 1},
    )
    summaries = [item["HistorySummary"] for page in pages for item in page["AlarmHistoryItems"]]
    assert summaries == [f'Alarm "{name}" deleted', f'Alarm "{name}" created']


@pytest.mark.parametrize(
    "changes",
    [
        {"Period": 45},
        {"Period": 90},
        {"Statistic": "p99"},
        {"ExtendedStatistic": "p101"},
        {"EvaluationPeriods": 3, "DatapointsToAlarm": 4},
        {"EvaluationPeriods": 1441},
        {"TreatMissingData": "guess"},
        {"Threshold": float("nan")},
        {"ComparisonOperator": "GreaterThanUpperThreshold"},
        {"Metrics": []},
        {"Metrics": [query("N", "Sum")], "MetricName": "Latency"},
        {"Metrics": [query("N", "Sum"), {"Id": "e", "Expression": "m * 2"}]},
        {"Metrics": [query("N", "Sum", ReturnData=False), {"Id": "e", "Expression": "m *"}]},
        {"Metrics": [query("N", "Sum", ReturnData=False), {"Id": "e", "Expression": "x * 2"}]},
        {"Metrics": [query("N", "Sum", ReturnData=False), {"Id": "e", "Expression": "[m, m]"}]},
    ],
)
def test_bad_alarm_is_refused(cloudwatch: Any, namespace: str, changes: dict[str, Any]) -> None:
    """An alarm that could not be evaluated as meant is a ValidationError, and is not stored."""
    code, _ = refused(cloudwatch.put_metric_alarm, **alarm(namespace, **changes))
    assert code == "ValidationError"
    assert cloudwatch.describe_alarms(AlarmNamePrefix=namespace)["MetricAlarms"] == []


@pytest.mark.parametrize("period", [10, 20, 30, 60, 300])
def test_alarm_periods_that_aws_takes(cloudwatch: Any, namespace: str, period: int) -> None:
    """10, 20, 30 and multiples of 60 seconds."""
    cloudwatch.put_metric_alarm(**alarm(namespace, Period=period))
    assert described(cloudwatch, f"{namespace}-alarm")["Period"] == period


def test_refusals_carry_the_codes_of_aws(cloudwatch: Any, namespace: str) -> None:
    """What code and message a caller can rely on, and the exception class that boto3 picks."""
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        cloudwatch.set_alarm_state(AlarmName="nobody", StateValue="OK", StateReason="drill")
    rule = f'ALARM("{namespace}")'
    code, message = refused(cloudwatch.put_composite_alarm, AlarmName="c", AlarmRule=rule)
    assert (code, namespace in message) == ("ValidationError", True)
    assert refused(cloudwatch.describe_alarms, NextToken="?")[0] == "InvalidNextToken"
    assert refused(cloudwatch.get_dashboard, DashboardName="d") == (
        "InvalidAction",
        "The call GetDashboard is not supported by the local CloudWatch.",
    )
    code, message = refused(cloudwatch.describe_alarms, ChildrenOfAlarmName="a")
    assert (code, "ChildrenOfAlarmName" in message) == ("InvalidAction", True)

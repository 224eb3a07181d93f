"""The CloudWatch process over real HTTP, with the boto3 client that the product uses."""

import gzip
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CREATION = "Unchecked: Initial alarm creation"


class Process:
    """A running CloudWatch; `client` is plain boto3."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_suffix(".log").open("w+")
        command = [sys.executable, "-m", "infra.local.cloudwatch", "--port", "0"]
        options = ["--database", str(database), "--ingest-delay", "0", "--tick", "0.1"]
        self.process = subprocess.Popen([*command, *options], stderr=self._log)
        self.url = until(lambda: re.search(r"running on (http://\S+)", self.log()))[1]
        self.client: Any = boto3.client(
            "cloudwatch",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def log(self) -> str:
        return Path(self._log.name).read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            self._log.close()


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("cloudwatch") / "cloudwatch.db")
    yield process
    process.end()


@pytest.fixture(scope="module")
def cloudwatch(running: Process) -> Any:
    return running.client


@pytest.fixture
def namespace() -> str:
    """A test's own metrics and alarms, in the process that all tests share."""
    return f"Test{uuid4().hex[:8]}"


def minute(ago: int) -> datetime:
    """The start of the minute so many minutes before this one."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=ago)


def put(cloudwatch: Any, namespace: str, at: datetime, **datum: Any) -> None:
    metric = {"MetricName": "Latency", "Timestamp": at} | datum
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[metric])


def query(namespace: str, stat: str, **changes: Any) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": "Latency"} | changes.pop("Metric", {})
    stat_of = {"Metric": metric, "Period": 60, "Stat": stat} | changes.pop("MetricStat", {})
    return {"Id": "m", "MetricStat": stat_of} | changes


def data(cloudwatch: Any, *queries: dict[str, Any], minutes: int = 10, **more: Any) -> list[Any]:
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=minute(minutes), EndTime=minute(0), **more
    )
    results: list[Any] = answer["MetricDataResults"]
    return results


def values(cloudwatch: Any, namespace: str, stat: str, **changes: Any) -> list[float]:
    found: list[float] = data(cloudwatch, query(namespace, stat, **changes))[0]["Values"]
    return found


def alarm(namespace: str, **changes: Any) -> dict[str, Any]:
    single = {"Namespace": namespace, "MetricName": "Latency", "Period": 60, "Statistic": "Sum"}
    dropped = {"Statistic"} if "ExtendedStatistic" in changes else set()
    dropped = set(single) if "Metrics" in changes else dropped
    common = {
        "AlarmName": f"{namespace}-alarm",
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
    }
    return common | {k: v for k, v in single.items() if k not in dropped} | changes


def described(cloudwatch: Any, name: str) -> dict[str, Any]:
    answer = cloudwatch.describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    (found,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return dict(found)


def state_becomes(cloudwatch: Any, name: str, state: str) -> dict[str, Any]:
    def same() -> dict[str, Any] | None:
        found = described(cloudwatch, name)
        return found if found["StateValue"] == state else None

    return dict(until(same))


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_every_way_to_put_a_sample_counts(cloudwatch: Any, namespace: str) -> None:
    """Value, Values with Counts and StatisticValues of one minute become one datapoint."""
    at = minute(3)
    put(cloudwatch, namespace, at, Value=10)
    put(cloudwatch, namespace, at + timedelta(seconds=30), Values=[1, 2], Counts=[3, 1])
    statistics = {"SampleCount": 2, "Sum": 30, "Minimum": 14, "Maximum": 16}
    put(cloudwatch, namespace, at + timedelta(seconds=59), StatisticValues=statistics)
    put(cloudwatch, namespace, at + timedelta(seconds=60), Value=99)

    names = ("Sum", "SampleCount", "Average", "Minimum", "Maximum")
    found = {name: values(cloudwatch, namespace, name)[-1] for name in names}

    assert found == {"Sum": 45, "SampleCount": 7, "Average": 45 / 7, "Minimum": 1, "Maximum": 16}


def test_percentiles_are_of_the_samples(cloudwatch: Any, namespace: str) -> None:
    """p50 and p99 of 1 to 100 are 50 and 99, from single values or from values and counts."""
    put(cloudwatch, namespace, minute(2), Values=list(range(1, 101)))
    put(cloudwatch, namespace, minute(1), Values=[5, 500], Counts=[98, 2])
    assert [values(cloudwatch, namespace, p) for p in ("p50", "p99", "p0", "p100", "p99.9")] == [
        [5, 50],
        [500, 99],
        [5, 1],
        [500, 100],
        [500, 100],
    ]


def test_statistic_set_hides_percentiles(cloudwatch: Any, namespace: str) -> None:
    """A set of unequal samples has no percentile; one of equal samples has."""
    unequal = {"SampleCount": 2, "Sum": 30, "Minimum": 14, "Maximum": 16}
    equal = {"SampleCount": 3, "Sum": 12, "Minimum": 4, "Maximum": 4}
    put(cloudwatch, namespace, minute(2), StatisticValues=unequal)
    put(cloudwatch, namespace, minute(1), StatisticValues=equal)
    assert values(cloudwatch, namespace, "p99") == [4]


def test_dimensions_are_an_exact_set_in_any_order(cloudwatch: Any, namespace: str) -> None:
    """The order does not matter, a subset is another metric."""
    both = [{"Name": "FunctionName", "Value": "f"}, {"Name": "ExecutedVersion", "Value": "2"}]
    put(cloudwatch, namespace, minute(1), Value=1, Dimensions=both)
    found = [
        values(cloudwatch, namespace, "Sum", Metric={"Dimensions": dimensions})
        for dimensions in (both, both[::-1], both[:1], [])
    ]
    assert found == [[1], [1], [], []]


def test_high_resolution_samples_have_10_second_points(cloudwatch: Any, namespace: str) -> None:
    """A sample of resolution 1 keeps its second, one of 60 stands at its minute."""
    at = minute(1)
    for second, resolution in ((12, 1), (25, 1), (47, 60)):
        when = at + timedelta(seconds=second)
        put(cloudwatch, namespace, when, Value=second, StorageResolution=resolution)
    (found,) = data(
        cloudwatch, query(namespace, "Sum", MetricStat={"Period": 10}), ScanBy="TimestampAscending"
    )
    seconds = [stamp.second for stamp in found["Timestamps"]]
    assert dict(zip(seconds, found["Values"], strict=True)) == {0: 47, 10: 12, 20: 25}


def test_unit_selects_its_samples(cloudwatch: Any, namespace: str) -> None:
    """With a unit only its samples count, without one all do."""
    put(cloudwatch, namespace, minute(1), Value=1, Unit="Count")
    put(cloudwatch, namespace, minute(1), Value=2, Unit="Milliseconds")
    by_unit = values(cloudwatch, namespace, "Sum", MetricStat={"Unit": "Count"})
    assert (by_unit, values(cloudwatch, namespace, "Sum")) == ([1], [3])


def test_large_request_is_read_compressed(cloudwatch: Any, namespace: str) -> None:
    """1,000 datums, which boto3 sends gzipped, arrive whole."""
    encodings = []
    cloudwatch.meta.events.register(
        "before-send.cloudwatch.PutMetricData",
        lambda request, **_: encodings.append(request.headers.get("Content-Encoding")),
        unique_id=namespace,
    )
    metric = [{"MetricName": "Latency", "Timestamp": minute(1), "Value": 1}] * 1000
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=metric)
    assert encodings == [b"gzip"]
    assert values(cloudwatch, namespace, "SampleCount") == [1000]


def test_metric_math_is_answered_with_its_parts(cloudwatch: Any, namespace: str) -> None:
    """Expressions of expressions, newest point first; ReturnData hides what is not asked for."""
    put(cloudwatch, namespace, minute(2), Value=10)
    put(cloudwatch, namespace, minute(1), Value=20)
    found = data(
        cloudwatch,
        query(namespace, "Sum", Id="m", ReturnData=False),
        {"Id": "double", "Expression": "m * 2", "ReturnData": False},
        {"Id": "half", "Expression": "double / 4", "Label": "Half"},
    )
    assert [(one["Id"], one["Label"], one["Values"]) for one in found] == [
        ("half", "Half", [10, 5])
    ]
    assert found[0]["Timestamps"] == [minute(1), minute(2)]
    assert found[0]["StatusCode"] == "Complete"


def test_get_metric_statistics(cloudwatch: Any, namespace: str) -> None:
    """The older call reads the same data, percentiles apart under ExtendedStatistics."""
    put(cloudwatch, namespace, minute(1), Values=[1, 3], Unit="Milliseconds")
    answer = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName="Latency",
        StartTime=minute(5),
        EndTime=minute(0),
        Period=300,
        Statistics=["Average", "Maximum"],
        ExtendedStatistics=["p50"],
    )
    points = answer["Datapoints"]
    assert [(p["Average"], p["Maximum"], p["Unit"]) for p in points] == [(2, 3, "Milliseconds")]
    assert points[0]["ExtendedStatistics"] == {"p50": 1}


def test_list_metrics_filters_and_pages(cloudwatch: Any, namespace: str) -> None:
    """600 metrics come in two pages; a dimension filter needs its value only if it gives one."""
    metric = [
        {"MetricName": "Latency", "Value": 1, "Dimensions": [{"Name": "V", "Value": str(number)}]}
        for number in range(600)
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=metric)
    first = cloudwatch.list_metrics(Namespace=namespace)
    assert (len(first["Metrics"]), "NextToken" in first) == (500, True)
    pages = cloudwatch.get_paginator("list_metrics").paginate(
        Namespace=namespace, Dimensions=[{"Name": "V"}], RecentlyActive="PT3H"
    )
    assert len([one for page in pages for one in page["Metrics"]]) == 600
    named = cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "V", "Value": "7"}])
    assert [one["Dimensions"] for one in named["Metrics"]] == [[{"Name": "V", "Value": "7"}]]


@pytest.mark.parametrize(
    ("metric", "code"),
    [
        ([{"MetricName": "a", "Value": 1}] * 1001, "InvalidParameterValue"),
        ([{"MetricName": "a"}], "MissingParameter"),
        ([], "MissingParameter"),
        ([{"MetricName": "a", "Value": 1, "Values": [1]}], "InvalidParameterCombination"),
        ([{"MetricName": "a", "Value": float("nan")}], "InvalidParameterValue"),
        ([{"MetricName": "a", "Value": 1e300}], "InvalidParameterValue"),
        ([{"MetricName": "a", "Values": [1, 2], "Counts": [1]}], "InvalidParameterValue"),
        ([{"MetricName": "a", "Values": [1] * 151}], "InvalidParameterValue"),
        ([{"MetricName": "a", "Value": 1, "StorageResolution": 5}], "InvalidParameterValue"),
        (
            [{"MetricName": "a", "Value": 1, "Timestamp": datetime(2100, 1, 1, tzinfo=UTC)}],
            "InvalidParameterValue",
        ),
        (
            [{"MetricName": "a", "Value": 1}, {"MetricName": "a", "Value": float("inf")}],
            "InvalidParameterValue",
        ),
    ],
)
def test_bad_datum_is_refused_and_nothing_is_kept(
    cloudwatch: Any, namespace: str, metric: list[Any], code: str
) -> None:
    """The whole request is refused, its good datums too."""
    found, _ = refused(cloudwatch.put_metric_data, Namespace=namespace, MetricData=metric)
    assert found == code
    assert cloudwatch.list_metrics(Namespace=namespace)["Metrics"] == []


@pytest.mark.parametrize(
    "queries",
    [
        [query("N", "Median")],
        [query("N", "Sum", MetricStat={"Period": 45})],
        [query("N", "Sum"), query("N", "Average")],
        [query("N", "Sum", Id="Upper")],
        [{"Id": "a", "Expression": "b + 1"}, {"Id": "b", "Expression": "a + 1"}],
        [{"Id": "a", "Expression": "nobody * 2"}],
        [query("N", "Sum"), {"Id": "a", "Expression": "m +"}],
        [query("N", "Sum"), {"Id": "a", "Expression": "SUM(m)"}],
    ],
)
def test_bad_query_is_refused(cloudwatch: Any, queries: list[Any]) -> None:
    """An unknown statistic, period, id or expression is an error, never an empty answer."""
    code, _ = refused(
        cloudwatch.get_metric_data,
        MetricDataQueries=queries,
        StartTime=minute(5),
        EndTime=minute(0),
    )
    assert code == "ValidationError"


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


def test_other_requests_are_answered_too(running: Process) -> None:
    """Ready is 200; another protocol and a broken body are refused, not a crash."""
    put_metrics = {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        assert client.get("/_ready").status_code == 200
        assert client.post("/", data={"Action": "ListMetrics"}).status_code == 400
        for body in (b"\xff", b"{", b"[]", b"[" * 100_000):
            assert client.post("/", content=body, headers=put_metrics).status_code == 400
        packed = put_metrics | {"content-encoding": "gzip"}
        bomb = gzip.compress(bytes(64 << 20))
        for body in (b"no gzip", gzip.compress(b"{}")[:-4], bomb):
            assert client.post("/", content=body, headers=packed).status_code == 400
    assert "Traceback" not in running.log()


def test_a_killed_process_loses_nothing(tmp_path: Path, namespace: str) -> None:
    """After kill -9 the alarm, its state, its history and the metrics are as they were."""
    name = f"{namespace}-alarm"
    before = Process(tmp_path / "cloudwatch.db")
    try:
        put(before.client, namespace, minute(1), Values=[10, 20])
        before.client.put_metric_alarm(**alarm(namespace, TreatMissingData="ignore"))
        red = state_becomes(before.client, name, "ALARM")
        history = before.client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    finally:
        before.end(signal.SIGKILL)

    after = Process(tmp_path / "cloudwatch.db")
    try:
        assert described(after.client, name) == red
        assert after.client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"] == history
        assert values(after.client, namespace, "p100") == [20]
    finally:
        code = after.end()
    assert code == 0


def test_sigterm_ends_it_within_three_seconds(tmp_path: Path) -> None:
    """A clean end, exit code 0, with a client still connected."""
    process = Process(tmp_path / "cloudwatch.db")
    process.client.list_metrics()
    began = time.monotonic()
    assert process.end() == 0
    assert time.monotonic() - began < 3

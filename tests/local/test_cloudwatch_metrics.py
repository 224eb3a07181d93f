"""The metric calls over real HTTP, with the boto3 client that the product uses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local.cloudwatch_parts import data, minute, put, query, refused, values

pytest_plugins = ["tests.local.cloudwatch_fixtures"]


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


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (1, {0: 47, 12: 12, 14: 14, 25: 25}),
        (5, {0: 47, 10: 26, 25: 25}),
        (10, {0: 47, 10: 26, 20: 25}),
        (30, {0: 98}),
    ],
)
def test_high_resolution_samples_have_points_of_seconds(
    cloudwatch: Any, namespace: str, period: int, expected: dict[int, int]
) -> None:
    """A sample of resolution 1 keeps its second, one of 60 stands at its minute."""
    at = minute(1)
    for second, resolution in ((12, 1), (14, 1), (25, 1), (47, 60)):
        when = at + timedelta(seconds=second)
        put(cloudwatch, namespace, when, Value=second, StorageResolution=resolution)
    (found,) = data(cloudwatch, query(namespace, "Sum", MetricStat={"Period": period}))
    seconds = [stamp.second for stamp in found["Timestamps"]]
    assert dict(zip(seconds, found["Values"], strict=True)) == expected


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("TC(:5)", 6),
        ("TC(5:80.5)", 3),
        ("TC(80.5:)", 2),
        ("TC(4.9:5)", 4),
        ("TC(1000:2000)", 0),
        ("PR(:5)", 600 / 11),
        ("PR(5:80.5)", 300 / 11),
        ("SampleCount", 11),
    ],
)
def test_trimmed_count_leaves_out_the_lower_bound(
    cloudwatch: Any, namespace: str, stat: str, expected: float
) -> None:
    """Samples above the lower bound and up to the upper are counted, each as often as it came."""
    put(cloudwatch, namespace, minute(1), Values=[1, 5, 80.5], Counts=[2, 4, 2])
    put(cloudwatch, namespace, minute(1), Values=[80.5, 90, 500])
    assert values(cloudwatch, namespace, stat) == pytest.approx([expected])


def test_ranges_next_to_each_other_hold_every_sample_once(cloudwatch: Any, namespace: str) -> None:
    """A histogram of trimmed counts, asked for in one call, adds up to the sample count."""
    put(cloudwatch, namespace, minute(1), Values=list(range(1, 101)))
    stats = ("TC(:10)", "TC(10:50)", "TC(50:)", "SampleCount")
    queries = [query(namespace, stat, Id=f"q{n}") for n, stat in enumerate(stats)]
    assert [found["Values"] for found in data(cloudwatch, *queries)] == [[10], [40], [50], [100]]


def test_statistic_set_hides_trimmed_counts(cloudwatch: Any, namespace: str) -> None:
    """Where the single samples are not known, no range of them is counted."""
    unequal = {"SampleCount": 2, "Sum": 30, "Minimum": 14, "Maximum": 16}
    put(cloudwatch, namespace, minute(1), StatisticValues=unequal)
    assert values(cloudwatch, namespace, "TC(:20)") == []


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
        [query("N", "TC(:)")],
        [query("N", "TC(5:5)")],
        [query("N", "TC(10%:90%)")],
        [query("N", "tc90")],
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

"""Metric math over series with holes."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.local.cloudwatch.errors import ValidationError
from infra.local.cloudwatch.metric_math import MetricMath
from infra.local.cloudwatch.series import Series
from release.alarms import canary_alarm, rollback_alarms

Points = list[float | None]
METRICS: dict[str, Points] = {
    "m": [10, 20, None, 40],
    "d": [2, 0, 5, None],
    "e": [None, 3, None, 1],
    "none": [None, None, None, None],
}


def series(points: Points) -> Series:
    return Series(60, {60 * i: float(p) for i, p in enumerate(points) if p is not None})


def compute(expression: str, metrics: dict[str, Points] | None = None) -> list[Points]:
    known = {name: series(points) for name, points in (metrics or METRICS).items()}
    size = max(len(points) for points in (metrics or METRICS).values())
    resolve: Callable[[str], Series] = known.__getitem__
    found = MetricMath(expression, resolve, lambda: known, 0, 60 * size).series()
    return [[one.points.get(60 * i) for i in range(size)] for one in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m + d", [12, 20, None, None]),
        ("m / d", [5, None, None, None]),
        ("100*m/(d-2)", [None, -1000, None, None]),
        ("2 + 3 * m ^ 2", [302, 1202, None, 4802]),
        ("-m", [-10, -20, None, -40]),
        ("m > 10", [0, 1, None, 1]),
        ("m == 20 || m >= 40", [0, 1, None, 1]),
        ("m > 10 AND d < 5", [0, 1, None, None]),
        ("m > 10 OR d < 5 AND m != 10", [0, 1, None, None]),
        ("FILL(m, 0)", [10, 20, 0, 40]),
        ("FILL(m, REPEAT)", [10, 20, 20, 40]),
        ("FILL(m, d)", [10, 20, 5, 40]),
        ("FILL(none, 7)", [7, 7, 7, 7]),
        ("IF(d > 0, m, 1)", [10, 1, None, None]),
        ("IF(m > 15, e)", [None, 3, None, 1]),
        ("IF(d, m / d, 0)", [5, 0, None, None]),
        ("IF(d > 0, 100 * FILL(e, 0) / d, 0)", [0, 0, 0, None]),
        ("IF(1, m, d)", [10, 20, None, 40]),
        ("m - AVG([m, d])", [4, 10, None, 20]),
        ("m / SUM(d)", [10 / 7, 20 / 7, None, 40 / 7]),
        ("m - MIN(m)", [0, 10, None, 30]),
        ("MAX([m, d, e])", [10, 20, 5, 40]),
        ("SUM(METRICS())", [12, 23, 5, 41]),
        ('SUM(METRICS("m"))', [10, 20, None, 40]),
        ("SUM([m, d] * 2)", [24, 40, 10, 80]),
        ("m * MAX(none)", [None, None, None, None]),
        ("m ^ 400", [None, None, None, None]),
        ("(0 - m) ^ 0.5", [None, None, None, None]),
    ],
)
def test_expression_gives(expression: str, expected: Points) -> None:
    """Points stand only where the operands do, and where the result is a number."""
    assert compute(expression) == [expected]


def test_array_gives_one_series_for_each_metric() -> None:
    """`METRICS() * 2` is as many series as there are metrics."""
    doubled = compute("METRICS() * 2")
    assert doubled == [[v and v * 2 for v in points] for points in METRICS.values()]


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "m +",
        "m // d",
        "m % d",
        "1 + 1",
        "SUM(m)",
        "m.points",
        "m[0]",
        "lambda: m",
        "__import__('os').system('true')",
        "m if d else e",
        "0 < m < 5",
        "'m'",
        "True * m",
        "ANOMALY_DETECTION_BAND(m)",
        "FILL(m)",
        "IF(m)",
        "SUM(m, d)",
        "[m, 1]",
        "-" * 5000 + "m",
        "-" * 950 + "m",
        "(" * 500 + "m" + ")" * 500,
    ],
)
def test_what_is_not_metric_math_is_refused(expression: str) -> None:
    """Anything outside the language is a ValidationError that shows the expression."""
    with pytest.raises(ValidationError):
        compute(expression)


NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6))


def rate_expressions() -> set[str]:
    """What the release's rate alarms compute."""
    alarms = rollback_alarms("shop", "prod", "shop-api-prod", "live", "id", 60)
    alarms.append(canary_alarm("shop", "prod", "shop-api-prod", "2", 60))
    queries = [query for alarm in alarms for query in alarm.get("Metrics", [])]
    return {query["Expression"] for query in queries if "Expression" in query}


@given(
    errors=st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=5, max_size=5),
    requests=st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=5, max_size=5),
)
@example(errors=[2, 3, 3, None, None], requests=[2, 3, 100, 7, None])
def test_error_rate_exists_exactly_where_requests_do(errors: Points, requests: Points) -> None:
    """The release's expression needs no error metric, never divides by zero, and is 0 below three
    failures; a quiet minute has no rate."""
    (expression,) = rate_expressions()
    (rates,) = compute(expression, {"errors": errors, "requests": requests})
    expected = [
        None if i is None else 0 if i == 0 or (e or 0) < 3 else 100 * (e or 0) / i
        for e, i in zip(errors, requests, strict=True)
    ]
    assert rates == pytest.approx(expected)


@given(
    left=st.lists(NUMBERS, min_size=4, max_size=4), right=st.lists(NUMBERS, min_size=4, max_size=4)
)
def test_comparison_and_its_opposite_never_agree(left: Points, right: Points) -> None:
    """Where both operands exist exactly one of < and >= is 1; elsewhere there is no point."""
    metrics = {"a": left, "b": right}
    (less,), (not_less,) = compute("a < b", metrics), compute("a >= b", metrics)
    both = [None if a is None or b is None else 1 for a, b in zip(left, right, strict=True)]
    sums = [None if a is None or b is None else a + b for a, b in zip(less, not_less, strict=True)]
    assert sums == both

"""Series of points, and operations on them point by point."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """A value for each period start (epoch second) that has one."""

    period: int
    points: dict[int, float]
    label: str = ""


Value = float | Series | list[Series]
Operation = Callable[[float, float], float]


def at_time(value: Value | None, at: int) -> float | None:
    if isinstance(value, float):
        return value
    return value.points.get(at) if isinstance(value, Series) else None


def combine(operation: Operation, left: Value, right: Value) -> Value:
    """Point by point; an array meets a single operand element by element."""
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return [series for a, b in pairs for series in _one(combine(operation, a, b))]
    if isinstance(left, list):
        return [series for a in left for series in _one(combine(operation, a, right))]
    if isinstance(right, list):
        return [series for b in right for series in _one(combine(operation, left, b))]
    if isinstance(left, float) and isinstance(right, float):
        return _safely(operation, left, right)
    either = [value for value in (left, right) if isinstance(value, Series)]
    times = set.intersection(*(set(series.points) for series in either))
    points = {at: _safely(operation, at_time(left, at), at_time(right, at)) for at in sorted(times)}
    real = {at: value for at, value in points.items() if not math.isnan(value)}
    return Series(max(series.period for series in either), real)


def _one(value: Value) -> Iterator[Series]:
    if isinstance(value, Series):
        yield value


def _safely(operation: Operation, left: float | None, right: float | None) -> float:
    """NaN where there is no result: a division by zero, a root of a negative number, too large."""
    if left is None or right is None or math.isnan(left) or math.isnan(right):
        return math.nan
    try:
        result = float(operation(left, right))
    except (ArithmeticError, ValueError):
        return math.nan
    return result if math.isfinite(result) else math.nan

"""Metric math: + - * / ^, comparisons, AND, OR, IF, FILL, SUM, AVG, MIN, MAX, METRICS and [a, b].

A point exists only where its operands have one, and where nothing is divided by zero; IF needs its
condition and the branch that it takes. This is on purpose stricter than the user guide, which has
arithmetic, comparisons and a true IF read a missing operand as 0: write FILL(m, 0) where 0 is meant
and both agree. FILL fills every period of the range asked for.
"""

import ast
import math
import operator
from collections.abc import Callable

from infra.local.cloudwatch.errors import ValidationError
from infra.local.cloudwatch.expressions import call_of, parse_math
from infra.local.cloudwatch.series import Operation, Series, Value, at_time, combine

_BINARY: dict[type[ast.operator], Operation] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_COMPARE: dict[type[ast.cmpop], Operation] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LOGICAL: dict[type[ast.boolop], Operation] = {
    ast.And: lambda left, right: bool(left) and bool(right),
    ast.Or: lambda left, right: bool(left) or bool(right),
}
_REDUCE: dict[str, Callable[[list[float], int], float]] = {
    "SUM": lambda values, _: math.fsum(values),
    "AVG": lambda values, size: math.fsum(values) / size,
    "MIN": lambda values, _: min(values),
    "MAX": lambda values, _: max(values),
}


class MetricMath:
    """Evaluates one expression over a range of time; `start` counts, `end` does not."""

    def __init__(
        self,
        expression: str,
        resolve: Callable[[str], Value],
        metrics: Callable[[], dict[str, Series]],
        start: int,
        end: int,
    ) -> None:
        self._text = expression
        self._resolve = resolve
        self._metrics = metrics
        self._start, self._end = start, end

    def series(self) -> list[Series]:
        """One, or several for an array. Raises ValidationError for what AWS would not accept."""
        value = self._value(parse_math(self._text))
        if isinstance(value, float):
            raise self._wrong("The final result of an expression must be a time series")
        return value if isinstance(value, list) else [value]

    def _wrong(self, why: str) -> ValidationError:
        return ValidationError(f"Error in expression '{self._text}': {why}")

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name):
                return self._resolve(name)
            case ast.List(elts=items):
                return [series for item in items for series in self._many(self._value(item))]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return combine(operator.mul, -1.0, self._value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return combine(_BINARY[type(op)], self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return combine(_COMPARE[type(op)], self._value(left), self._value(right))
            case ast.BoolOp(op=op, values=[first, *rest]):
                value = self._value(first)
                for other in rest:
                    value = combine(_LOGICAL[type(op)], value, self._value(other))
                return value
        return self._call(node)

    def _call(self, node: ast.expr) -> Value:
        match call_of(node):
            case "METRICS", []:
                return list(self._metrics().values())
            case "METRICS", [ast.Constant(value=str() as part)]:
                return [series for name, series in self._metrics().items() if part in name]
            case str() as name, [argument] if name in _REDUCE:
                return self._reduce(name, self._value(argument))
            case "FILL", [argument, filler]:
                return self._fill(self._value(argument), filler)
            case "IF", [condition, then]:
                return self._if(self._value(condition), self._value(then), None)
            case "IF", [condition, then, otherwise]:
                return self._if(*map(self._value, (condition, then, otherwise)))
            case name, _ if name in (*_REDUCE, "FILL", "IF", "METRICS"):
                raise self._wrong(f"Wrong arguments for function {name}")
            case name, _:
                raise self._wrong(f"Unsupported function {name}")
        raise self._wrong("Syntax Error")

    def _many(self, value: Value) -> list[Series]:
        if isinstance(value, float):
            raise self._wrong("A time series is needed where a number stands")
        return value if isinstance(value, list) else [value]

    def _reduce(self, name: str, value: Value) -> Value:
        """A number from one series, a series from an array (AVG counts a missing value as 0)."""
        if isinstance(value, Series):
            values = list(value.points.values())
            return _REDUCE[name](values, len(values)) if values else math.nan
        many = self._many(value)
        if not many:
            raise self._wrong(f"{name} has no time series to work on")
        points = {}
        for at in sorted({at for series in many for at in series.points}):
            present = [series.points[at] for series in many if at in series.points]
            points[at] = _REDUCE[name](present, len(many))
        return Series(max(series.period for series in many), points)

    def _fill(self, value: Value, filler: ast.expr) -> Value:
        filled = [self._filled(series, filler) for series in self._many(value)]
        return filled if isinstance(value, list) else filled[0]

    def _filled(self, series: Series, filler: ast.expr) -> Series:
        repeat = isinstance(filler, ast.Name) and filler.id == "REPEAT"
        with_what = math.nan if repeat else self._value(filler)
        points: dict[int, float] = {}
        for at in range(self._start - self._start % series.period, self._end, series.period):
            point = series.points.get(at, points.get(at - series.period) if repeat else None)
            point = at_time(with_what, at) if point is None else point
            if point is not None and not math.isnan(point):
                points[at] = point
        return Series(series.period, points, series.label)

    def _if(self, condition: Value, then: Value, otherwise: Value | None) -> Value:
        if isinstance(condition, list):
            raise self._wrong("The condition of IF must be a number or one time series")
        if isinstance(condition, float):
            chosen = None if math.isnan(condition) else then if condition else otherwise
            return Series(60, {}) if chosen is None else chosen
        branches = ((at, then if true else otherwise) for at, true in condition.points.items())
        points = ((at, at_time(branch, at)) for at, branch in branches)
        return Series(condition.period, {at: value for at, value in points if value is not None})

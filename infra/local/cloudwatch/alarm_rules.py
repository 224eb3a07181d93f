"""Which state an alarm is in: CloudWatch's rules, pure.

Source: the CloudWatch user guide, "Evaluating an alarm", "How alarm state is evaluated when data is
missing" and "Create a composite alarm".
"""

import ast
from collections.abc import Callable, Mapping, Sequence

from infra.local.cloudwatch.errors import ValidationError
from infra.local.cloudwatch.expressions import call_of, parse_rule

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
STATES = (OK, ALARM, INSUFFICIENT_DATA)
TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def alarm_state(
    points: Sequence[float | None],
    n: int,
    m: int,
    breaches: Callable[[float], bool],
    treat_missing: str,
    current: str,
) -> str:
    """The state after evaluating `points`: the evaluation range, oldest first, None for missing.

    Enough real points (`n`): the newest `n` decide and missing ones do not count. Fewer: the gap up
    to `n` is filled as `treat_missing` says.
    """
    real = [breaches(point) for point in points if point is not None]
    breaching = sum(real[-n:])
    missing = max(0, n - len(real))
    if treat_missing == "breaching":
        breaching += missing
    if breaching >= m:
        return ALARM
    if not missing or treat_missing in ("breaching", "notBreaching") or not all(real):
        return OK
    if treat_missing == "ignore":
        return current
    return ALARM if real and _age_of_oldest(points) >= m else INSUFFICIENT_DATA


def _age_of_oldest(points: Sequence[float | None]) -> int:
    """In periods, counting its own: a lone breach is believed once it is `m` periods old."""
    return next(len(points) - at for at, point in enumerate(points) if point is not None)


def rule_holds(rule: str, states: Mapping[str, str]) -> bool:
    """Whether a composite alarm's rule is true; an alarm that is gone is in no state."""
    return _holds(parse_rule(rule), states)


def alarms_in(rule: str) -> set[str]:
    """The alarms that a rule names. Raises ValidationError when it is not a rule."""
    tree = parse_rule(rule)
    _holds(tree, {})
    nodes = (call_of(node) for node in ast.walk(tree) if isinstance(node, ast.Call))
    arguments = (call[1][0] for call in nodes if call)
    return {_name(str(node.value)) for node in arguments if isinstance(node, ast.Constant)}


def _name(name_or_arn: str) -> str:
    return name_or_arn.split(":alarm:", 1)[-1]


def _holds(node: ast.expr, states: Mapping[str, str]) -> bool:
    match node:
        case ast.BoolOp(op=op, values=values):
            # Every part is read, decided or not: a mistake in the last one must be seen.
            parts = [_holds(value, states) for value in values]
            return all(parts) if isinstance(op, ast.And) else any(parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _holds(operand, states)
        case ast.Name(id="TRUE" | "FALSE" as word):
            return word == "TRUE"
    match call_of(node):
        case str() as state, [ast.Constant(value=str() as name)] if state in STATES:
            return states.get(_name(name)) == state
    raise ValidationError("AlarmRule must not contain invalid syntax")

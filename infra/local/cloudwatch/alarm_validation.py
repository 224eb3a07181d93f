"""What PutMetricAlarm and PutCompositeAlarm accept."""

import math
from typing import Any

from infra.local.cloudwatch.alarm_rules import COMPARISONS, TREATMENTS, alarms_in
from infra.local.cloudwatch.errors import ValidationError
from infra.local.cloudwatch.evaluation import period_of, queries_of
from infra.local.cloudwatch.queries import Queries, check_period
from infra.local.cloudwatch.statistics import is_extended, statistic
from infra.local.cloudwatch.store import Store

Params = dict[str, Any]
_PERIODS = (10, 20, 30)  # seconds; else a multiple of 60
_SINGLE_METRIC = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
)
_DAY = 86_400  # seconds


def check_metric_alarm(store: Store, alarm: Params) -> None:
    """Raises ValidationError for an alarm that could not be evaluated."""
    _check_name(alarm)
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if name not in alarm:
            raise ValidationError(f"The parameter {name} is required for a static threshold.")
    if not math.isfinite(float(alarm["Threshold"])):
        raise ValidationError("Threshold must be a finite number.")
    _one_of("ComparisonOperator", alarm["ComparisonOperator"], COMPARISONS)
    _one_of("TreatMissingData", alarm.get("TreatMissingData", "missing"), TREATMENTS)
    _check_sources(alarm)
    n = int(alarm["EvaluationPeriods"])
    if n < 1 or not 1 <= int(alarm.get("DatapointsToAlarm", n)) <= n:
        raise ValidationError(
            "DatapointsToAlarm must be 1 to EvaluationPeriods, which is 1 or more."
        )
    _check_queries(store, alarm)
    period = period_of(alarm)
    longest = _DAY if period < 3600 else 7 * _DAY
    if n * period > longest:
        raise ValidationError(f"EvaluationPeriods times Period must not exceed {longest} seconds.")


def check_composite_alarm(store: Store, alarm: Params) -> None:
    """Raises ValidationError for a rule that is none, or names an alarm that is not there."""
    _check_name(alarm)
    unknown = alarms_in(alarm["AlarmRule"]) - store.alarms().keys()
    if unknown:
        raise ValidationError(
            f"Could not save the composite alarm as alarms [{', '.join(sorted(unknown))}] in the"
            " alarm rule do not exist"
        )


def _check_name(alarm: Params) -> None:
    if not 1 <= len(alarm.get("AlarmName", "")) <= 255:
        raise ValidationError("AlarmName must have a length of 1 to 255.")


def _one_of(name: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise ValidationError(f"The value {value} for {name} is not one of {', '.join(allowed)}.")


def _check_sources(alarm: Params) -> None:
    if "Metrics" in alarm:
        if both := [name for name in _SINGLE_METRIC if name in alarm]:
            raise ValidationError(f"Metrics cannot be specified together with {both[0]}.")
        return
    for name in ("MetricName", "Namespace", "Period"):
        if name not in alarm:
            raise ValidationError(f"The parameter {name} is required, or Metrics.")
    if ("Statistic" in alarm) == ("ExtendedStatistic" in alarm):
        raise ValidationError("Exactly one of Statistic and ExtendedStatistic is required.")
    if "Statistic" in alarm and (is_extended(s := alarm["Statistic"]) or not statistic(s)):
        raise ValidationError(f"The value {s} for parameter Statistic is not supported.")
    if not is_extended(alarm.get("ExtendedStatistic", "p50")):
        raise ValidationError("The value for parameter ExtendedStatistic is not supported.")


def _check_queries(store: Store, alarm: Params) -> None:
    queries = queries_of(alarm)
    periods = {q["MetricStat"]["Period"] for q in queries if "MetricStat" in q}
    if len(periods) != 1:
        raise ValidationError("The metrics of an alarm must have one Period, the same for all.")
    check_period(min(periods), _PERIODS)
    # Evaluated once over an empty range: this finds whatever is wrong in an expression.
    returned = Queries(store, queries, 0, 0).returned()
    if len(returned) != 1 or len(returned[0][1]) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")

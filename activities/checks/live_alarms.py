"""Whether the flow's alarms, as they stand, could call a rollback."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from activities.checks.alarm_definitions import (
    described_alarms,
    differences,
    metrics_behind,
    wanted_alarms,
)
from activities.checks.metrics import MetricReader
from activities.inputs import PreflightInput
from activities.staging import Check

_RECENT = timedelta(minutes=15)
_QUIET = timedelta(hours=3)  # the longest that CloudWatch keeps in the finest resolution


class _Data(NamedTuple):
    """Samples of the metrics behind one alarm, recent ones or, in quiet times, older ones."""

    samples: float
    span: str


def expect_live_alarms(cloudwatch: Any, order: PreflightInput, check: Check) -> None:
    """Each alarm is as the flow defines it, on this alias and API, and has data to judge.

    One that is red already is no fault: the release's watch leaves it out. Whether its actions are
    enabled does not matter either: the release reads states.
    """
    described = described_alarms(cloudwatch, order.service, order.environment)
    reader = MetricReader(cloudwatch)
    data = {name: _data(reader, alarm) for name, alarm in described.items()}
    had_requests = any(found.samples for found in data.values())
    for wanted in wanted_alarms(
        described,
        service=order.service,
        environment=order.environment,
        api_function=order.functions[order.api],
        alias=order.alias,
        period_seconds=order.alarm_period_seconds,
    ):
        name = wanted["AlarmName"]
        found = described.get(name)
        if found is None:
            check.expect(False, f"there is no alarm {name}")
            continue
        wrong = differences(wanted, found)
        check.expect(not wrong, f"{name}: {', '.join(wrong)}")
        if had_requests:
            _expect_can_fire(check, found, data[name])
        else:
            check.could_not(f"{name}: nothing was requested for {_hours(_QUIET)}")


def _expect_can_fire(check: Check, alarm: dict[str, Any], data: _Data) -> None:
    name, state = alarm["AlarmName"], alarm["StateValue"]
    metrics = ", ".join(str(metric) for metric in metrics_behind(alarm))
    check.expect(
        data.samples > 0,
        f"{name} can never fire: no data of {metrics} in {data.span}, though there were requests",
    )
    check.expect(
        state != "INSUFFICIENT_DATA",
        f"{name} is in INSUFFICIENT_DATA: {alarm.get('StateReason')}",
    )
    red = ", red before the release began: neither blocks nor triggers" if state == "ALARM" else ""
    check.saw(f"{name} {state}, {data.samples:.0f} samples in {data.span}{red}")


def _data(reader: MetricReader, alarm: dict[str, Any]) -> _Data:
    """The samples of the last quarter of an hour; where there are none, of three hours."""
    now, metrics = datetime.now(UTC), metrics_behind(alarm)
    samples = 0.0
    for span, text in ((_RECENT, "15 min"), (_QUIET, _hours(_QUIET))):
        samples = sum(reader.total(metric, now - span, "SampleCount") for metric in metrics)
        if samples:
            return _Data(samples, text)
    return _Data(samples, _hours(_QUIET))


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.0f} h"

"""Watch: the alarms of a release, and what production was like before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.inputs import AlarmsInput, Armed, ArmInput
from release.alarms import (
    canary_alarm,
    canary_alarm_name,
    metrics_namespace,
    rollback_alarm_names,
)

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


class AlarmsGoneError(Exception):
    """An alarm that a release is watched by was deleted; it may come back."""


class Watch:
    """Arms, reads and disarms the alarms of a release."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    @activity.defn
    def arm_alarms(self, order: ArmInput) -> Armed:
        """The canary's alarm exists; and what production was like before traffic moved.

        What is red before the release began neither blocks a fix nor triggers a rollback.
        """
        watched = order.watched
        self._cloudwatch.put_metric_alarm(
            **canary_alarm(
                watched.service,
                watched.environment,
                watched.function,
                watched.canary,
                watched.period_seconds,
            )
        )
        return Armed(
            preexisting_alarms=self._read(watched.service, watched.environment)[0],
            requests_per_second=self._requests_per_second(order),
            slow_ms=self._slow_ms(order),
        )

    @activity.defn
    def disarm_alarms(self, order: AlarmsInput) -> None:
        """The canary's alarm is gone: after the release its version is just the version."""
        name = canary_alarm_name(order.service, order.environment)
        self._cloudwatch.delete_alarms(AlarmNames=[name])

    def firing(self, service: str, environment: str) -> tuple[str, ...]:
        """The release's alarms that are red now; one without data is not red.

        Raises:
            AlarmsGoneError: one does not exist, so nothing would say that it is red.
        """
        red, gone = self._read(service, environment)
        if gone:
            raise AlarmsGoneError(f"no such alarm: {', '.join(gone)}")
        return red

    def _read(self, service: str, environment: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the alarms that are red, and of those that do not exist."""
        names = [
            *rollback_alarm_names(service, environment),
            canary_alarm_name(service, environment),
        ]
        found = self._cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
        red = sorted(name for name, state in states.items() if state == "ALARM")
        return tuple(red), tuple(name for name in names if name not in states)

    def _requests_per_second(self, order: ArmInput) -> float | None:
        """In the busiest minute of the last hour: a ladder must not begin too high at a peak."""
        function = order.watched.function
        own = {"FunctionName": function, "Resource": f"{function}:{order.alias}"}
        metric = _metric("AWS/Lambda", "Invocations", own)
        (busiest,) = self._largest([(metric, "Sum", 60)], _HOUR)
        return busiest / 60 if busiest else None

    def _slow_ms(self, order: ArmInput) -> tuple[float, float] | None:
        """Frozen before the release: any threshold is valid, these give the test its power."""
        own = {"FunctionName": order.watched.function, "ExecutedVersion": order.baseline}
        metric = _metric(metrics_namespace(order.watched.service), "WarmLatency", own)
        p90, p99 = self._largest([(metric, "p90", 86400), (metric, "p99", 86400)], _DAY)
        return (p90, p99) if p90 and p99 else None

    def _largest(
        self, wanted: list[tuple[dict[str, Any], str, int]], window: timedelta
    ) -> list[float | None]:
        now = datetime.now(UTC)
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=[
                {
                    "Id": f"m{number}",
                    "MetricStat": {"Metric": metric, "Period": period, "Stat": stat},
                }
                for number, (metric, stat, period) in enumerate(wanted)
            ],
            StartTime=now - window,
            EndTime=now,
        )
        values = {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}
        return [max(values.get(f"m{n}") or [0.0]) or None for n in range(len(wanted))]


def _metric(namespace: str, name: str, dimensions: dict[str, str]) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }

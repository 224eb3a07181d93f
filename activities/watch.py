"""Watch: one step of the ladder, measured every few seconds until it is judged."""

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.inputs import AlarmsInput, WatchInput
from release.alarms import (
    METRICS_NAMESPACE,
    canary_alarm,
    canary_alarm_name,
    rollback_alarm_names,
)
from release.judgement import judge_blindness, judge_end, judge_harm
from release.promotion import Counts, StepJudgement


class Watch:
    """Counts requests per executed version, reads the alarms, and lets `release` judge."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    @activity.defn
    def arm_alarms(self, order: AlarmsInput) -> tuple[str, ...]:
        """The canary's alarm exists; the names of the flow's alarms that are red already.

        What is red before the release began neither blocks a fix nor triggers a rollback.
        """
        self._cloudwatch.put_metric_alarm(
            **canary_alarm(
                order.service,
                order.environment,
                order.function,
                order.canary,
                order.period_seconds,
            )
        )
        return self._firing(rollback_alarm_names(order.service, order.environment))

    @activity.defn
    def disarm_alarms(self, order: AlarmsInput) -> None:
        """The canary's alarm is gone: after the release its version is just the version."""
        name = canary_alarm_name(order.service, order.environment)
        self._cloudwatch.delete_alarms(AlarmNames=[name])

    @activity.defn
    def watch_step(self, order: WatchInput) -> StepJudgement:
        """The judgement of a step; it heartbeats the counts, so that they can be watched live.

        A later attempt goes on by `since`: time that has passed counts, but at least one fresh
        measurement is always made before a step passes.
        """
        measured_at = datetime.now(UTC)
        while True:
            now = datetime.now(UTC)
            try:
                canary, baseline, firing = self._measure(order, now)
                measured_at = now
                activity.heartbeat({"canary": canary, "baseline": baseline})
                judgement = judge_harm(order.shift, canary, baseline, firing) or judge_end(
                    order.shift, order.min_duration, now - order.since, canary, baseline
                )
            except (ClientError, BotoCoreError) as error:
                activity.logger.warning("could not measure: %s", error)
                activity.heartbeat({"blind_since": measured_at.isoformat()})
                judgement = judge_blindness(order.shift, now - measured_at, str(error))
            if judgement is not None:
                return judgement
            # a wait, which a cancellation or a stopping worker ends at once
            activity.wait_for_cancelled_sync(order.poll_seconds)
            if activity.is_cancelled():
                raise CancelledError("the step's watching was cancelled")

    def _measure(self, order: WatchInput, now: datetime) -> tuple[Counts, Counts, tuple[str, ...]]:
        counts = self._counts(order, now)
        alarms = rollback_alarm_names(order.service, order.environment)
        firing = self._firing([*alarms, canary_alarm_name(order.service, order.environment)])
        new = tuple(name for name in firing if name not in order.preexisting_alarms)
        return counts[order.canary], counts[order.baseline], new

    def _counts(self, order: WatchInput, now: datetime) -> dict[str, Counts]:
        """Requests and failures per executed version since the step began.

        Failures are the service's own 5xx answers plus Lambda's function errors: a handler that
        answers 500 itself is no error to Lambda, and one that crashes writes no metric of its own.
        """
        versions = {"c": order.canary, "b": order.baseline}
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=[
                query
                for key, version in versions.items()
                for query in _queries(key, order, version)
            ],
            # whole periods: CloudWatch holds one sum per period, so a step counts from the start
            # of the period in which it began
            StartTime=_floor(order.since, order.period_seconds),
            EndTime=_floor(now, order.period_seconds) + timedelta(seconds=order.period_seconds),
        )
        sums = {r["Id"]: round(sum(r["Values"])) for r in answer["MetricDataResults"]}
        return {
            version: Counts(
                requests=sums.get(f"{key}_requests", 0),
                failures=sums.get(f"{key}_errors", 0) + sums.get(f"{key}_crashes", 0),
            )
            for key, version in versions.items()
        }

    def _firing(self, names: list[str]) -> tuple[str, ...]:
        answer = self._cloudwatch.describe_alarms(AlarmNames=names, StateValue="ALARM")
        return tuple(sorted(alarm["AlarmName"] for alarm in answer["MetricAlarms"]))


def _queries(key: str, order: WatchInput, version: str) -> list[dict[str, Any]]:
    own = {"FunctionName": order.function, "ExecutedVersion": version}
    executed = own | {"Resource": f"{order.function}:{order.alias}"}
    metrics = {
        "requests": ("AWS/Lambda", "Invocations", executed),
        "crashes": ("AWS/Lambda", "Errors", executed),
        "errors": (METRICS_NAMESPACE, "ServerErrors", own),
    }
    return [
        {
            "Id": f"{key}_{name}",
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                },
                "Period": order.period_seconds,
                "Stat": "Sum",
            },
        }
        for name, (namespace, metric, dimensions) in metrics.items()
    ]


def _floor(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)

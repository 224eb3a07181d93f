"""A running CloudWatch and short words for its calls, for the tests that talk to it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = Path(__file__).parents[2]  # where `-m infra.local.cloudwatch` is found


class Process:
    """A running CloudWatch; `client` is plain boto3."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_suffix(".log").open("w+")
        command = [sys.executable, "-m", "infra.local.cloudwatch", "--port", "0"]
        options = ["--database", str(database), "--ingest-delay", "0", "--tick", "0.1"]
        self.process = subprocess.Popen([*command, *options], stderr=self._log, cwd=ROOT)
        try:
            self.url = until(lambda: re.search(r"running on (http://\S+)", self.log()))[1]
        except BaseException:
            self.end(signal.SIGKILL)
            raise
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

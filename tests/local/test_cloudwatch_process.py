"""The CloudWatch process: what it answers beside the calls, and how it ends."""

import gzip
import signal
import time
from pathlib import Path

import httpx

from tests.local.cloudwatch_parts import (
    Process,
    alarm,
    described,
    minute,
    put,
    state_becomes,
    values,
)

pytest_plugins = ["tests.local.cloudwatch_fixtures"]


def test_other_requests_are_answered_too(cloudwatch_process: Process) -> None:
    """Ready is 200; another protocol and a broken body are refused, not a crash."""
    put_metrics = {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}
    with httpx.Client(base_url=cloudwatch_process.url, trust_env=False) as client:
        assert client.get("/_ready").status_code == 200
        assert client.post("/", data={"Action": "ListMetrics"}).status_code == 400
        for body in (b"\xff", b"{", b"[]", b"[" * 100_000):
            assert client.post("/", content=body, headers=put_metrics).status_code == 400
        packed = put_metrics | {"content-encoding": "gzip"}
        bomb = gzip.compress(bytes(64 << 20))
        for body in (b"no gzip", gzip.compress(b"{}")[:-4], bomb):
            assert client.post("/", content=body, headers=packed).status_code == 400
    assert "Traceback" not in cloudwatch_process.log()


def test_a_killed_process_loses_nothing(tmp_path: Path, namespace: str) -> None:
    """After kill -9 the alarm, its state, its history and the metrics are as they were."""
    name = f"{namespace}-alarm"
    before = Process(tmp_path / "cloudwatch.db")
    try:
        put(before.client, namespace, minute(1), Values=[10, 20])
        before.client.put_metric_alarm(**alarm(namespace, TreatMissingData="ignore"))
        red = state_becomes(before.client, name, "ALARM")
        history = before.client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    finally:
        before.end(signal.SIGKILL)

    after = Process(tmp_path / "cloudwatch.db")
    try:
        assert described(after.client, name) == red
        assert after.client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"] == history
        assert values(after.client, namespace, "p100") == [20]
    finally:
        code = after.end()
    assert code == 0


def test_sigterm_ends_it_within_three_seconds(tmp_path: Path) -> None:
    """A clean end, exit code 0, with a client still connected."""
    process = Process(tmp_path / "cloudwatch.db")
    try:
        process.client.list_metrics()
    finally:
        began = time.monotonic()
        code = process.end()
    assert (code, time.monotonic() - began < 3) == (0, True)

"""The packet is gathered from real parts; a source that fails or hangs costs only its own part."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from temporalio.testing import ActivityEnvironment

from activities.incident import Incidents
from activities.quarantine_table import QuarantineTable
from release.alarms import canary_alarm, rollback_alarms
from release.incident import Facts, Stored
from release.quarantine import Entry
from tests.incident.incident_parts import API, KEY, SHA, facts, rung
from tests.rollback.production_parts import BUCKET

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
LOG_GROUP = f"/aws/lambda/{API}"


def just_now(**changes: Any) -> Facts:
    """The incident of the last minutes."""
    step = rung(0.2, 0, (100, 25), (400, 4))
    step = step.model_copy(update={"started_at": NOW - timedelta(minutes=3)})
    known = {"steps": (step,), "went_back_at": NOW, "ended_at": datetime.now(UTC)}
    return facts(**known | changes)


def write(aws: Any, order: Facts, seconds: float = 20) -> Stored:
    """The activity as the worker runs it."""
    stored: Stored = ActivityEnvironment().run(Incidents(aws, seconds).write_incident, order)
    return stored


def read_back(aws: Any, order: Facts) -> tuple[str, dict[str, Any]]:
    """The packet as it lies in the bucket: Markdown and JSON."""

    def get(ending: str) -> str:
        answer = aws.s3.get_object(Bucket=BUCKET, Key=f"{order.key}.{ending}")
        return str(answer["Body"].read().decode())

    return get("md"), json.loads(get("json"))


@pytest.fixture
def log(aws: SimpleNamespace) -> Any:
    """Writes lines to a stream of one of the API's versions; gone after the test."""
    aws.logs.create_log_group(logGroupName=LOG_GROUP)

    def put(version: str, *lines: str) -> None:
        stream = f"2026/01/15/[{version}]{'0' * 32}"
        aws.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
        at = int(time.time() * 1000)
        events = [{"timestamp": at + n, "message": line} for n, line in enumerate(lines)]
        aws.logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)

    yield put
    aws.logs.delete_log_group(logGroupName=LOG_GROUP)


def error_line(number: int, message: str = "no price") -> str:
    """A 500 as the price API writes it."""
    return json.dumps(
        {
            "level": "error",
            "event": "request",
            "route": "/prices",
            "status": 500,
            "requestId": f"id-{number}",
            "exception": {
                "type": "KeyError",
                "message": f"{message} {number}",
                "stack": 'File "/var/task/app.py", line 41, in handler',
            },
        }
    )


def count(cloudwatch: Any, version: str, requests: int, failures: int) -> None:
    """What one version answered, two minutes ago."""
    dimensions = [
        {"Name": "FunctionName", "Value": API},
        {"Name": "ExecutedVersion", "Value": version},
    ]
    cloudwatch.put_metric_data(
        Namespace="CryptoWatch",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": NOW - timedelta(minutes=2),
                "Value": value,
            }
            for name, value in (("Requests", requests), ("ServerErrors", failures))
        ],
    )


def test_packet_has_everything_that_was_there(aws, production, log):
    """Counts by the minute, the alarm's past and datapoints, log lines, aliases, quarantine."""
    count(aws.cloudwatch, "2", 100, 25)
    count(aws.cloudwatch, "1", 400, 4)
    alarm = canary_alarm("crypto-watch", "prod", API, "2", 60)
    aws.cloudwatch.put_metric_alarm(**alarm)
    aws.cloudwatch.set_alarm_state(
        AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="25 %"
    )
    aws.cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])  # as after every release
    for other in rollback_alarms("crypto-watch", "prod", API, "live", "api-id", 60):
        aws.cloudwatch.put_metric_alarm(**other)
    log("2", *(error_line(number) for number in range(25)), "START RequestId: 1")
    log("1", error_line(99, "of the old version"))
    QuarantineTable(aws.dynamodb, "crypto-watch-prod").add(
        Entry(sha=SHA, version="1.2.3", promotion="p", reason="bad", at=NOW)
    )
    order = just_now()

    stored = write(aws, order)

    assert stored.address == f"s3://{BUCKET}/incidents/crypto-watch/{SHA[:12]}-0a1b2c3d.md"
    markdown, found = read_back(aws, order)
    assert found["found"]["unread"] == {}
    [period] = found["found"]["periods"]
    assert period["new"] == {"requests": 100, "failures": 25}
    assert period["old"] == {"requests": 400, "failures": 4}
    assert len(found["found"]["alarms"]) == 4
    canary = next(a for a in found["found"]["alarms"] if a["name"] == alarm["AlarmName"])
    assert canary["state"] == ""
    assert any("to ALARM" in change["text"] for change in canary["changes"])
    assert [point["value"] for point in canary["points"]] == [25]
    [sample] = found["found"]["logs"]
    assert sample["times"] == 25
    assert sample["text"] == "request /prices 500 KeyError: no price 24 (app.py:41)"
    assert found["found"]["quarantined"] is True
    assert stored.head in markdown
    assert "**Yes.** The old version serves all traffic" in stored.head
    assert "| 25 of 100 failed (25 %) | 4 of 400 failed (1 %) |" in markdown
    assert "old version 4 of 400" in markdown


def test_alias_is_read_fresh(aws, production):
    """Somebody moved production back onto the bad version meanwhile: the packet says no."""
    production.point(API, "1", {"2": 0.5})

    assert "**NO. Users still meet the bad version:**" in write(aws, just_now()).head


def test_no_key_is_in_a_packet(aws, production, log):
    """Neither from a log line, nor from what a person wrote, nor cut in half."""
    log("2", error_line(1, f"bad {KEY}"), f"[ERROR] {'x' * 140} {KEY}")
    order = just_now(reason=f"customer with {KEY} calls")

    stored = write(aws, order)

    markdown, found = read_back(aws, order)
    for text in (stored.head, markdown, json.dumps(found)):
        assert "kkkkkkkk" not in text
        assert "cw_live_****" in text
    assert len(found["found"]["logs"]) == 2


def test_log_samples_are_bounded(aws, production, log):
    """Many kinds of errors: the eight most frequent, each of one bounded line."""
    kinds = [error_line(1, "abcdefghijkl"[kind] * 5000) for kind in range(12)]
    log("2", *kinds, kinds[3])
    order = just_now()
    write(aws, order)

    samples = read_back(aws, order)[1]["found"]["logs"]

    assert len(samples) == 8
    assert samples[0]["times"] == 2
    assert "dddd" in samples[0]["text"]
    assert all(len(sample["text"]) <= 400 for sample in samples)


def test_function_that_never_wrote_a_line_has_an_empty_log(aws, production):
    """No log group is not a failure to read one."""
    order = just_now()
    write(aws, order)

    assert read_back(aws, order)[1]["found"]["logs"] == []


class Refuses:
    """A client whose every call is refused."""

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, name)

        return call


class Hangs:
    """A client whose every call waits until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.over.wait(30)


@pytest.mark.parametrize("source", ["lambda_", "cloudwatch", "logs", "dynamodb"])
def test_source_that_fails_costs_only_its_own_part(aws, production, source):
    """The packet is written all the same, and says what could not be read and why."""
    setattr(aws, source, Refuses())
    order = just_now()

    stored = write(aws, order)

    markdown, found = read_back(aws, order)
    parts = {"lambda_": {"aliases"}, "cloudwatch": {"alarms", "periods"}, "logs": {"logs"}}
    assert set(found["found"]["unread"]) == parts.get(source, {"quarantined"})
    assert all("ThrottlingException" in why for why in found["found"]["unread"].values())
    assert "**Could not be read:**" in stored.head
    assert "## Could not be read" in markdown


def test_source_that_hangs_is_waited_for_no_longer_than_the_bound(aws, production):
    """CloudWatch does not answer: the rest is there within the bound."""
    aws.cloudwatch = Hangs()
    order, begin = just_now(), time.monotonic()

    stored = write(aws, order, seconds=0.5)

    aws.cloudwatch.over.set()
    assert time.monotonic() - begin < 5
    assert "**Yes.**" in stored.head
    unread = read_back(aws, order)[1]["found"]["unread"]
    assert unread == dict.fromkeys(("periods", "alarms"), "no answer within 0.5 s")


def test_bucket_that_is_not_there_still_gives_the_head(aws, production):
    """What happened reaches the channels, with what is wrong with the bucket."""
    stored = write(aws, just_now(bucket="no-such-bucket"))

    assert stored.address == ""
    assert stored.problem.startswith("the bucket no-such-bucket does not take it: NoSuchBucket")
    assert "**Are users safe now?**" in stored.head


def test_bucket_that_does_not_answer_is_for_a_retry(aws, production):
    """An outage makes the packet late, not lost: the error goes to Temporal, which tries on."""
    aws.s3 = Refuses()

    with pytest.raises(ClientError, match="ThrottlingException"):
        write(aws, just_now())


def test_written_twice_there_is_one_packet(aws, production):
    """A retry whose first attempt was stored puts the same names."""
    order = just_now(run="feedbeef")
    write(aws, order)
    write(aws, order)

    listed = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix=order.key)["Contents"]

    assert sorted(entry["Key"] for entry in listed) == [f"{order.key}.json", f"{order.key}.md"]

"""Metrics and logs: the right dimensions, embedded metrics, delivery after an outage."""

import json
import re
import sys
from types import SimpleNamespace
from typing import Any

import front_door_parts as parts
import pytest

from infra.local.front_door.delivery import MetricSender
from infra.local.front_door.emf import embedded_samples
from infra.local.front_door.metrics import InvocationRecord, datums


def log_events(control_plane: int, function: str) -> list[str]:
    """The messages in the function's log group, stream by stream."""
    logs = parts.client("logs", control_plane)
    group = f"/aws/lambda/{function}"
    try:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    messages = []
    for stream in streams:
        assert stream["logStreamName"].split("/")[-1].startswith("[")
        events = logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )
        messages += [event["message"] for event in events["events"]]
    return messages


def test_invocations_are_measured_per_executed_version(
    front_door: parts.FrontDoor, recorder: parts.Recorder, function: str
) -> None:
    """AWS/Lambda has one datum per dimension set; an error is an invocation too."""
    for event in ({}, {}, {"do": "raise"}):
        front_door.aws.invoke(FunctionName=function, Qualifier="live", Payload=json.dumps(event))
    name, resource = {"FunctionName": function}, {"Resource": f"{function}:live"}

    for dimensions in (name, name | resource, name | resource | {"ExecutedVersion": "1"}):

        def total(metric: str, dimensions: dict[str, str] = dimensions) -> float:
            return recorder.total("AWS/Lambda", metric, **dimensions)

        parts.until(lambda: total("Invocations") == 3)
        assert (total("Errors"), total("Throttles")) == (1, 0)
        assert total("ConcurrentExecutions") == 3
        durations = recorder.values("AWS/Lambda", "Duration", **dimensions)
        assert sum(count for _, count in durations) == 3
        assert all(0 < value < 5_000 for value, _ in durations)
    assert recorder.total("AWS/Lambda", "Invocations", **name, Resource=f"{function}:1") == 0


def test_requests_are_measured_per_api_and_stage(
    front_door: parts.FrontDoor, recorder: parts.Recorder, function: str, url_port: int
) -> None:
    """AWS/ApiGateway counts requests and their errors, and has both latencies."""
    for answer in ({"statusCode": 200}, {"statusCode": 404}, {"statusCode": 503}):
        parts.get(
            url_port,
            method="POST",
            body=json.dumps({"do": "answer", "answer": answer}).encode(),
        )
    api = {"ApiId": f"shop-{function.rpartition('-')[2]}"}

    for dimensions in (api, api | {"Stage": "$default"}):

        def total(metric: str, dimensions: dict[str, str] = dimensions) -> float:
            return recorder.total("AWS/ApiGateway", metric, **dimensions)

        parts.until(lambda: total("Count") == 3)
        assert (total("4xx"), total("5xx")) == (1, 1)
        assert total("Latency") >= total("IntegrationLatency") > 0


def embedded(function: str, **values: Any) -> str:
    """A log line in the embedded metric format."""
    header = {
        "Timestamp": 1_790_000_000_500,
        "CloudWatchMetrics": [
            {
                "Namespace": "Shop",
                "Dimensions": [["FunctionName", "ExecutedVersion"]],
                "Metrics": [
                    {"Name": "Requests", "Unit": "Count", "StorageResolution": 1},
                    {"Name": "Latency"},
                ],
            },
            {
                "Namespace": "Shop",
                "Dimensions": [["FunctionName", "route"]],
                "Metrics": [{"Name": "Requests", "Unit": "Count", "StorageResolution": 60}],
            },
        ],
    }
    members = {"FunctionName": function, "ExecutedVersion": "1", "route": "/prices"}
    return json.dumps({"_aws": header, **members, **values})


def test_embedded_metrics_on_stdout_become_metrics(
    front_door: parts.FrontDoor, recorder: parts.Recorder, function: str
) -> None:
    """An EMF line is a metric with its own dimensions, and lists are several values."""
    for text in (embedded(function, Requests=1, Latency=[3, 3, 5]), '{"_aws": {"CloudWatchMetrics'):
        event = json.dumps({"do": "print", "text": text})
        front_door.aws.invoke(FunctionName=function, Payload=event)
    dimensions = {"FunctionName": function, "ExecutedVersion": "1"}

    parts.until(lambda: recorder.total("Shop", "Requests", **dimensions) == 1)

    assert sorted(recorder.values("Shop", "Latency", **dimensions)) == [(3, 2), (5, 1)]
    assert recorder.total("Shop", "Requests", FunctionName=function, route="/prices") == 1


def test_embedded_metric_has_the_resolution_that_it_asks_for(
    front_door: parts.FrontDoor, recorder: parts.Recorder, function: str
) -> None:
    """Each metric of each directive has its own; Lambda's metrics are by the minute, as on AWS."""
    event = json.dumps({"do": "print", "text": embedded(function, Requests=1, Latency=3)})
    front_door.aws.invoke(FunctionName=function, Payload=event)

    def kept() -> dict[tuple[str, str, str], Any]:
        return {
            (space, datum["MetricName"], datum["Dimensions"][-1]["Name"]): datum.get(
                "StorageResolution"
            )
            for space, datum in list(recorder.datums)
            if {"Name": "FunctionName", "Value": function} in datum["Dimensions"]
        }

    wanted = {
        ("Shop", "Requests", "ExecutedVersion"): 1,
        ("Shop", "Latency", "ExecutedVersion"): None,
        ("Shop", "Requests", "route"): None,
        ("AWS/Lambda", "Invocations", "FunctionName"): None,
    }
    parts.until(lambda: wanted.keys() <= kept().keys())
    assert {key: kept()[key] for key in wanted} == wanted


def test_compressed_clock_keeps_every_metric_by_the_second() -> None:
    """`high_resolution` is for all datums, those that do not ask for it too."""
    sent: list[dict[str, Any]] = []
    cloudwatch = SimpleNamespace(put_metric_data=lambda **given: sent.extend(given["MetricData"]))
    own = InvocationRecord("f", None, None, 1_790_000_000, 5, False, 1)
    samples = [*own.samples(), *embedded_samples(embedded("f", Requests=1, Latency=3))]

    MetricSender(cloudwatch, high_resolution=True).send(datums(samples))

    assert {datum["StorageResolution"] for datum in sent} == {1}
    assert {datum["MetricName"] for datum in sent} > {"Invocations", "Requests", "Latency"}


def test_what_a_handler_prints_is_in_its_log_group(
    front_door: parts.FrontDoor, control_plane: int, function: str
) -> None:
    """Printed lines stand between START and END of their invocation, then comes REPORT."""
    event = json.dumps({"do": "print", "text": "hello from the handler"})
    request_id = front_door.aws.invoke(FunctionName=function, Qualifier="live", Payload=event)[
        "ResponseMetadata"
    ]["RequestId"]

    def reported() -> list[str]:
        lines = log_events(control_plane, function)
        return lines if any(f"REPORT RequestId: {request_id}" in line for line in lines) else []

    lines = parts.until(reported)

    first = lines.index(f"START RequestId: {request_id} Version: 1")
    assert lines[first + 1 : first + 3] == [
        "hello from the handler",
        f"END RequestId: {request_id}",
    ]
    assert lines[first + 3].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "Init Duration: " in lines[first + 3]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
def test_report_says_the_most_memory_that_was_used(
    front_door: parts.FrontDoor, control_plane: int, function: str
) -> None:
    """A large event raises the peak of its instance, and what follows reports that peak still."""
    for event in ({}, {"pad": "x" * 4_000_000}, {}):
        front_door.aws.invoke(FunctionName=function, Qualifier="live", Payload=json.dumps(event))

    def peaks() -> list[int]:
        text = "\n".join(log_events(control_plane, function))
        found = [int(peak) for peak in re.findall(r"Max Memory Used: (\d+) MB", text)]
        return found if len(found) == 3 else []

    before, raised, after = parts.until(peaks)
    assert 5 < before < raised == after


def test_metrics_of_an_outage_arrive_afterwards(
    front_door: parts.FrontDoor, recorder: parts.Recorder, function: str
) -> None:
    """What the receiver refused is sent again, once."""
    recorder.down = True
    refused = recorder.refused
    try:
        front_door.aws.invoke(FunctionName=function, Payload="{}")
        parts.until(lambda: recorder.refused >= refused + 3)
    finally:
        recorder.down = False

    parts.until(lambda: recorder.total("AWS/Lambda", "Invocations", FunctionName=function) == 1)

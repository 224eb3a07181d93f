"""Metrics and traces, as Prometheus and a collector get them from the worker as it is run."""

import socket
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from temporalio.client import Client
from temporalio.worker import Worker

from cli.temporal import temporal as command
from connection import telemetry
from connection.errors import MetricsError
from release.promotion import Outcome
from release.verdict import Verdict
from tests.connection.conftest import OFF
from workflows.promotion import PromotionWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Collector:
    """An OTLP receiver that keeps the spans."""

    def __init__(self) -> None:
        self.spans: list = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sent = ExportTraceServiceRequest.FromString(body)
                collector.spans += [
                    span
                    for resource in sent.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector(monkeypatch) -> Iterator[Collector]:
    """Receives; this process's traces go there."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@asynccontextmanager
async def worker_with(system, temporal, **options) -> AsyncIterator[Client]:
    """A worker of its own connection, on a queue of its own; promotions start there."""
    address = temporal.client.service_client.config.target_host
    client = await Client.connect(address, data_converter=temporal.client.data_converter, **options)
    system.queue = uuid.uuid4().hex
    ours = {"client": client, "task_queue": system.queue}
    async with Worker(**(system.worker_options | ours)):
        yield client


async def scraped(address: str) -> dict[str, float]:
    """Sample → value, for the metrics that are our own."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{address}/metrics")).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("release_")]
    return {name: float(value) for name, _, value in lines}


def of(samples: dict[str, float], name: str, *labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    return sum(
        value
        for sample, value in samples.items()
        if sample.startswith(name + "{") and all(label in sample for label in labels)
    )


async def test_prometheus_gets_outcomes_and_the_time_of_rollbacks(release_system, temporal):
    """A good and a bad release: one of each is counted, and the rollback's time is known."""
    address = f"127.0.0.1:{free_port()}"
    runtime = telemetry.runtime(replace(OFF, metrics_address=address))
    async with worker_with(release_system, temporal, runtime=runtime):
        good = await release_system.promote_and_pass_gates()
        assert (await good.result()).outcome is Outcome.COMPLETED
        release_system.script.judge = lambda order: release_system.script.judgement(Verdict.FAILED)
        bad = await release_system.promote_and_pass_gates()
        assert (await bad.result()).outcome is Outcome.ROLLED_BACK
        samples = await scraped(address)

    ours = 'service="crypto-watch"'
    ended = "release_promotions_ended_total"
    assert of(samples, ended, ours, 'outcome="completed"') == 1
    assert of(samples, ended, ours, 'outcome="rolled back"') == 1
    took = "release_rollback_duration_seconds"
    assert of(samples, f"{took}_count", ours, 'kind="promotion"') == 1
    assert 0 < of(samples, f"{took}_sum", ours) < 10
    assert of(samples, f"{took}_bucket", ours, 'le="10"') == 1


async def test_nothing_listens_unless_an_address_is_named():
    """Metrics are off by default."""
    assert telemetry.runtime(OFF) is None


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "localhost"])
async def test_bad_metrics_address_is_said(address):
    """The worker does not start, and names the setting."""
    with pytest.raises(MetricsError, match=f"RELEASE_METRICS_ADDRESS={address}"):
        telemetry.runtime(replace(OFF, metrics_address=address))


async def test_taken_metrics_port_is_said():
    """Two workers on one machine need two ports; the second says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MetricsError, match=address):
            telemetry.runtime(replace(OFF, metrics_address=address))


async def test_command_workflow_and_activity_are_one_trace(release_system, temporal, collector):
    """What a command began can be followed to each activity's attempt."""
    settings = replace(OFF, traces_endpoint=collector.endpoint)
    with telemetry.tracing(settings) as interceptors:
        async with worker_with(release_system, temporal, interceptors=interceptors) as client:
            release_system.environment = type("Environment", (), {"client": client})
            handle = await release_system.promote_to_approval()
            await handle.signal("abort", {"by": "carol", "reason": "seen enough"})
            await handle.result()

    by_name = {span.name: span for span in collector.spans}
    start = by_name["StartWorkflow:PromotionWorkflow"]
    run = by_name["RunWorkflow:PromotionWorkflow"]
    act = by_name["RunActivity:admit_request"]
    assert run.parent_span_id == start.span_id
    assert {start.trace_id} == {run.trace_id} == {act.trace_id}


async def test_short_command_sends_its_spans_before_it_ends(temporal, collector, monkeypatch):
    """The command line ends by `os._exit`: what it has to tell is sent when its call is done."""
    address = temporal.client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)

    async with command("carol") as client:
        await client.start_workflow(
            PromotionWorkflow.run, id=uuid.uuid4().hex, task_queue=uuid.uuid4().hex, args=[None]
        )

    assert [span.name for span in collector.spans] == ["StartWorkflow:PromotionWorkflow"]


async def test_without_the_packages_a_worker_works_and_says_what_to_install(monkeypatch, capsys):
    """Traces are asked for, and are not to be had: a line tells, and nothing else changes."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with telemetry.tracing(replace(OFF, traces_endpoint="http://127.0.0.1:9")) as interceptors:
        assert interceptors == []
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in (
        capsys.readouterr().out
    )

"""What a process tells of itself, where it is asked to: metrics to Prometheus, traces by OTLP."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from connection.errors import MetricsError
from settings import TemporalSettings
from workflows.metrics import ROLLBACK_SECONDS

SERVICE_NAME = "crypto-watch-release"
_TO_INSTALL = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
_SECONDS = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0]
# a collector that is gone holds up the end of a command no longer than this
_LONGEST_EXPORT = timedelta(seconds=3)


def runtime(settings: TemporalSettings) -> Runtime | None:
    """Serves `/metrics` at the address that the settings name; None if they name none.

    Raises:
        MetricsError: nothing can be served there.
    """
    if not settings.metrics_address:
        return None
    prometheus = PrometheusConfig(
        bind_address=settings.metrics_address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={ROLLBACK_SECONDS: _SECONDS},
    )
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=prometheus))
    except (RuntimeError, ValueError) as error:
        raise MetricsError(
            f"RELEASE_METRICS_ADDRESS={settings.metrics_address}: {error}; it is an IP address and "
            "a free port, as 127.0.0.1:9464"
        ) from error


@contextmanager
def tracing(settings: TemporalSettings) -> Iterator[list[Any]]:
    """The interceptors by which calls, workflows and activities become one trace.

    None without an endpoint, and none without the packages, which is said. Where spans go, with
    which headers and certificates, OpenTelemetry reads from its own variables. At the end all are
    sent.
    """
    if not settings.traces_endpoint:
        yield []
        return
    try:
        provider = _provider()
        from temporalio.contrib.opentelemetry import TracingInterceptor
    except ImportError as error:
        structlog.get_logger().warning("no traces", missing=error.name, install=_TO_INSTALL)
        yield []
        return
    try:
        # also what a schedule, or a command that is not traced, has begun
        tracer = provider.get_tracer("release")
        yield [TracingInterceptor(tracer, always_create_workflow_spans=True)]
    finally:
        provider.shutdown()


def _provider() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME as NAME
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = OTELResourceDetector().detect()  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
    provider = TracerProvider(resource=Resource({NAME: SERVICE_NAME}).merge(named))
    exporter = OTLPSpanExporter(timeout=_LONGEST_EXPORT.total_seconds())
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider

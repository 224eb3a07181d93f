"""The price API on aws-lambda-powertools: its Logger, its Metrics and its HTTP API resolver."""

import json
import os
import time
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from errors import ApiError, error_body, internal_error, not_found
from journal import level_of, mask
from store import admit, health, newest_of, snapshot, symbols_of

OPENAPI = Path(__file__).with_name("openapi.json")

logger = Logger(service="crypto-watch")
metrics = Metrics(namespace="CryptoWatch")
app = APIGatewayHttpResolver()


@app.get("/prices")
def prices() -> dict[str, Any]:
    """Several prices."""
    logger.append_keys(route="/prices")
    admit(app.current_event.headers.get("x-api-key"))
    found = snapshot.get(symbols_of(app.current_event.query_string_parameters.get("symbols")))
    return {"data": found, "timestamp": newest_of(found)}


@app.get("/prices/<symbol>")
def one_price(symbol: str) -> dict[str, Any]:
    """One price."""
    logger.append_keys(route="/prices/{symbol}")
    admit(app.current_event.headers.get("x-api-key"))
    [price] = snapshot.get(symbols_of(symbol))
    return {"data": price, "timestamp": price["lastUpdated"]}


@app.get("/health")
def is_healthy() -> dict[str, Any]:
    """Whether prices can be served."""
    logger.append_keys(route="/health")
    return health()


@app.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """The API's description."""
    logger.append_keys(route="/openapi.json")
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    return document


@app.exception_handler(ApiError)
def refused(error: ApiError) -> Response[str]:
    """The error in the service's format."""
    body = error_body(error, app.current_event.request_context.request_id)
    return Response(error.status, content_types.APPLICATION_JSON, json.dumps(body))


@app.not_found
def nothing_there(error: NotFoundError) -> Response[str]:
    """An unknown route in the service's format."""
    return refused(not_found())


@app.exception_handler(Exception)
def failed(error: Exception) -> Response[str]:
    """A mistake of ours in the service's format."""
    return refused(internal_error())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """AWS Lambda's entry point."""
    started = time.perf_counter()
    logger.append_keys(route="none")
    answer = app.resolve(event, context)
    write(event, answer["statusCode"], (time.perf_counter() - started) * 1000)
    return answer


def write(event: dict[str, Any], status: int, duration_ms: float) -> None:
    """The request's log line is written, its metrics follow in a line of their own."""
    metrics.add_dimension("FunctionName", os.environ["AWS_LAMBDA_FUNCTION_NAME"])
    metrics.add_dimension("ExecutedVersion", os.environ["AWS_LAMBDA_FUNCTION_VERSION"])
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    metrics.add_metric("ServerErrors", MetricUnit.Count, int(status >= 500))
    metrics.add_metric("ClientErrors", MetricUnit.Count, int(400 <= status < 500))
    metrics.add_metric("Latency", MetricUnit.Milliseconds, duration_ms)
    getattr(logger, level_of(status))(
        "request",
        environment=os.environ["ENVIRONMENT"],
        requestId=event["requestContext"]["requestId"],
        method=event["requestContext"]["http"]["method"],
        status=status,
        durationMs=round(duration_ms, 3),
        functionVersion=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        apiKey=mask(event["headers"].get("x-api-key")),
    )

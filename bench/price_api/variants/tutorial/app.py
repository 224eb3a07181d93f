"""The price API as a tutorial would write it: one function, boto3, no framework."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import journal
from errors import ApiError, error_body, internal_error, not_found
from store import admit, health, newest_of, snapshot, symbols_of

OPENAPI = Path(__file__).with_name("openapi.json")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """AWS Lambda's entry point."""
    started = time.perf_counter()
    route = route_of(event["rawPath"])
    try:
        status, body = 200, answer(route, event)
    except ApiError as error:
        status, body = error.status, error_body(error, event["requestContext"]["requestId"])
    except Exception:
        error = internal_error()
        status, body = error.status, error_body(error, event["requestContext"]["requestId"])
    journal.write(event, route, status, started)
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }


def route_of(path: str) -> str:
    """The template that a path matches; "none" when there is none."""
    if path.startswith("/prices/") and path.count("/") == 2:
        return "/prices/{symbol}"
    return path if path in ("/prices", "/health", "/openapi.json") else "none"


def answer(route: str, event: dict[str, Any]) -> dict[str, Any]:
    """The body of a 200."""
    if route == "/prices":
        admit(event["headers"].get("x-api-key"))
        query = event.get("queryStringParameters") or {}
        prices = snapshot.get(symbols_of(query.get("symbols")))
        return {"data": prices, "timestamp": newest_of(prices)}
    if route == "/prices/{symbol}":
        admit(event["headers"].get("x-api-key"))
        [price] = snapshot.get(symbols_of(unquote(event["rawPath"].rpartition("/")[2])))
        return {"data": price, "timestamp": price["lastUpdated"]}
    if route == "/health":
        return health()
    if route == "/openapi.json":
        document: dict[str, Any] = json.loads(OPENAPI.read_text())
        return document
    raise not_found()

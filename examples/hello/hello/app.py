"""Says hello: the smallest service that can be promoted."""

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

DOCUMENT = json.loads((Path(__file__).parent / "openapi.json").read_text())
NAMESPACE = "Hello"  # the service's name in CamelCase: there the release looks for its metrics


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One answer and one log line, which is its metrics too; a mistake in here is a 500."""
    try:
        status, body = answer(event["rawPath"])
    except Exception as error:
        status, body = 500, {"error": type(error).__name__}
    print(json.dumps(metrics(context, status)), flush=True)
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }


def answer(path: str) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    if path == "/health":
        version, sha = os.environ["RELEASE_VERSION"], os.environ["GIT_SHA"]
        return 200, {"status": "healthy", "version": version, "gitSha": sha}
    if path == "/openapi.json":
        return 200, DOCUMENT
    if path.startswith("/hello/"):
        return 200, {"message": greeting(unquote(path.removeprefix("/hello/")))}
    return 404, {"error": "no such path"}


def greeting(name: str) -> str:
    """What is said to the person."""
    return f"Hello, {name}!"


def metrics(context: Any, status: int) -> dict[str, Any]:
    """What a release judges a version by, in CloudWatch's embedded metric format."""
    counts = [{"Name": name, "StorageResolution": 1} for name in ("Requests", "ServerErrors")]
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName", "ExecutedVersion"]],
        "Metrics": counts,
    }
    return {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "FunctionName": context.function_name,
        "ExecutedVersion": context.function_version,
        "Requests": 1,
        "ServerErrors": int(status >= 500),
        "status": status,
    }

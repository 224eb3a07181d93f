"""An HTTP request as API Gateway hands it to a Lambda, and the Lambda's answer as HTTP.

Payload format 2.0, as AWS documents it under "Working with AWS Lambda proxy integrations".
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import httpx


def http_event(
    method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The event of one request for the `$default` route. `path` and `query` as on the wire."""
    now = time.time()
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept": "application/json", **sent},
        "requestContext": {
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": sent.get("user-agent", "release"),
            },
            "requestId": uuid.uuid4().hex,
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }


def http_answer(payload: str) -> httpx.Response:
    """The HTTP answer that a function's is; one without a status, or unreadable, is a 500.

    API Gateway would take one without a status for a body. A function of ours never means that.
    """
    try:
        document = json.loads(payload)
        content = str(document.get("body") or "").encode()
        if document.get("isBase64Encoded"):
            content = base64.b64decode(content, validate=True)
        headers = {str(k): str(v) for k, v in (document.get("headers") or {}).items()}
        # the transport's own business: httpx says how long the content is
        headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
        return httpx.Response(int(document["statusCode"]), headers=headers, content=content)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return httpx.Response(500, json={"message": "Internal Server Error"})

"""The environments' HTTP listeners: event, answer, errors."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import front_door_parts as parts
import pytest


def post(port: int, do: dict[str, Any], path: str = "/") -> parts.Response:
    """The response to a request whose JSON body tells the handler what to do."""
    headers = {"content-type": "application/json"}
    return parts.get(port, path, method="POST", body=json.dumps(do).encode(), headers=headers)


def test_request_becomes_a_payload_2_event(url_port: int) -> None:
    """The function gets the request as API Gateway's HTTP API gives it."""
    headers = {"content-type": "application/json", "Cookie": "a=1; b=2", "X-Two": "up", "Host": "h"}
    body = json.dumps({"do": "echo"}).encode()
    path = "/prices/a%20b?symbol=BTC&symbol=ETH&empty="

    response = parts.get(url_port, path, method="POST", body=body, headers=headers)

    event = json.loads(response.body)
    assert event["version"] == "2.0"
    assert event["routeKey"] == "$default"
    assert event["rawPath"] == "/prices/a%20b"
    assert event["rawQueryString"] == "symbol=BTC&symbol=ETH&empty="
    assert event["queryStringParameters"] == {"symbol": "BTC,ETH", "empty": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-two"] == "up"
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == (body.decode(), False)
    context = event["requestContext"]
    assert context["http"]["method"] == "POST"
    assert context["http"]["path"] == "/prices/a%20b"
    assert context["http"]["protocol"] == "HTTP/1.1"
    assert context["http"]["sourceIp"] == "127.0.0.1"
    assert context["apiId"].startswith("shop-e")
    assert context["stage"] == "$default"
    assert context["requestId"] == response.headers["apigw-requestid"]
    assert context["timeEpoch"] > 1_700_000_000_000


def test_binary_body_reaches_the_function_in_base64(
    front_door: parts.FrontDoor, function: str, url_port: int
) -> None:
    """A body that is no text is not mangled."""
    echo = "def handler(event, context):\n    return {'statusCode': 200, 'body': event['body']}"
    key = front_door.upload(echo)
    front_door.aws.update_function_code(FunctionName=function, S3Bucket=parts.BUCKET, S3Key=key)
    front_door.live(function, front_door.aws.publish_version(FunctionName=function)["Version"])

    response = parts.get(
        url_port,
        method="POST",
        body=b"\x00\xff\x01",
        headers={"content-type": "application/octet-stream"},
    )

    assert base64.b64decode(response.body) == b"\x00\xff\x01"


@pytest.mark.parametrize(
    ("answer", "status", "body", "headers"),
    [
        (
            {"statusCode": 201, "headers": {"X-A": "b", "content-type": "text/html"}, "body": "é"},
            201,
            "é".encode(),
            {"x-a": "b", "content-type": "text/html"},
        ),
        ({"statusCode": 204}, 204, b"", {}),
        (
            {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True},
            200,
            b"\x00\xff",
            {"content-type": "text/plain;charset=UTF-8"},
        ),
        ({"statusCode": 200, "cookies": ["a=1", "b=2"]}, 200, b"", {"set-cookie": "a=1, b=2"}),
        ({"plain": 1}, 200, b'{"plain": 1}', {"content-type": "application/json"}),
        ("text", 200, b"text", {"content-type": "application/json"}),
        ({"statusCode": "many"}, 500, b'{"message": "Internal Server Error"}', {}),
        ({"statusCode": 200, "body": {"a": 1}}, 500, b'{"message": "Internal Server Error"}', {}),
        ({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, 500, None, {}),
        ({"statusCode": 200, "cookies": ["a=b\nc: d"]}, 500, None, {}),
        ({"statusCode": 304, "headers": {"etag": "x"}}, 304, b"", {"etag": "x"}),
    ],
)
def test_answer_is_mapped_back(
    url_port: int, answer: Any, status: int, body: bytes | None, headers: dict[str, str]
) -> None:
    """Status, headers, cookies and body are the function's; a malformed answer is a 500."""
    response = post(url_port, {"do": "answer", "answer": answer})

    assert response.status == status
    assert body is None or response.body == body
    for name, value in headers.items():
        assert ", ".join(response.headers.get_all(name, [])) == value
    assert response.headers["x-executed-version"] == "1"


def test_function_error_is_a_500(url_port: int) -> None:
    """An exception in the handler is API Gateway's own 500."""
    response = post(url_port, {"do": "raise"})

    assert response.status == 500
    assert json.loads(response.body) == {"message": "Internal Server Error"}


def test_missing_function_is_a_500(front_door: parts.FrontDoor) -> None:
    """An environment without its function answers 500, and serves once it is there."""
    name, port = front_door.stage()
    assert parts.get(port).status == 500

    front_door.live(name, front_door.deploy(name, LABEL="now"))

    assert parts.get(port).body == b"now"


def test_body_too_large_for_lambda_is_a_413(url_port: int) -> None:
    """A body that no event can carry is refused."""
    response = parts.get(url_port, method="POST", body=b"x" * 5_000_000)

    assert response.status == 413


def test_ready_path_belongs_to_the_service(url_port: int) -> None:
    """The environment listeners hand /_ready to the function."""
    assert parts.get(url_port, "/_ready").headers["x-executed-version"] == "1"


def test_head_is_answered_without_a_body(url_port: int) -> None:
    """HEAD has GET's headers and no body."""
    response = parts.get(url_port, method="HEAD")

    assert (response.status, response.headers["content-length"]) == (200, "3")


@pytest.mark.parametrize("reserved", [2, 16])
def test_concurrency_over_the_limit_is_throttled(
    front_door: parts.FrontDoor,
    recorder: parts.Recorder,
    function: str,
    url_port: int,
    reserved: int,
) -> None:
    """Reserved concurrency, else 16, bounds what runs at once; more is 503 and a Throttle."""
    if reserved < 16:
        front_door.aws.put_function_concurrency(
            FunctionName=function, ReservedConcurrentExecutions=reserved
        )
    sleep = {"do": "sleep", "seconds": 3}

    with ThreadPoolExecutor(reserved + 3) as threads:
        responses = list(threads.map(lambda _: post(url_port, sleep), range(reserved + 3)))

    assert sorted(r.status for r in responses) == [200] * reserved + [503] * 3
    refused = next(r for r in responses if r.status == 503)
    assert json.loads(refused.body) == {"message": "Service Unavailable"}

    def total(metric: str) -> float:
        return recorder.total("AWS/Lambda", metric, FunctionName=function)

    parts.until(lambda: (total("Throttles"), total("Invocations")) == (3, reserved))


def test_reserved_concurrency_of_zero_lets_nothing_run(
    front_door: parts.FrontDoor, function: str
) -> None:
    """A function that is switched off answers Invoke with Lambda's own throttle."""
    front_door.aws.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

    with pytest.raises(front_door.aws.exceptions.TooManyRequestsException) as caught:
        front_door.aws.invoke(FunctionName=function)

    reason = caught.value.response["Reason"]
    assert reason == "ReservedFunctionConcurrentInvocationLimitExceeded"

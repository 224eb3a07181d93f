"""The Lambda endpoint: invocations, their errors, and what the worker sees."""

import base64
import json
from typing import Any

import front_door_parts as parts
import pytest
from botocore.exceptions import ClientError


def invoke(door: parts.FrontDoor, function: str, event: Any, **options: Any) -> dict[str, Any]:
    """Invoke's answer, with the payload parsed into `Payload`."""
    answer: dict[str, Any] = door.aws.invoke(
        FunctionName=function, Payload=json.dumps(event), **options
    )
    answer["Payload"] = json.loads(answer["Payload"].read() or b"null")
    return answer


def test_invoke_by_alias_version_and_name_runs_that_version(
    front_door: parts.FrontDoor, function: str
) -> None:
    """A qualifier chooses the version, and the answer and the context say which it was."""
    assert front_door.deploy(function, LABEL="two") == "2"
    arn = f"arn:aws:lambda:eu-west-1:000000000000:function:{function}"

    for qualifier, version in (("live", "1"), ("2", "2"), (None, "$LATEST")):
        options = {"Qualifier": qualifier} if qualifier else {}
        answer = invoke(front_door, function, {"do": "context"}, **options)

        assert answer["ExecutedVersion"] == version
        assert answer["Payload"]["version"] == version
        assert answer["Payload"]["arn"] == (f"{arn}:{qualifier}" if qualifier else arn)
        assert 8_000 < answer["Payload"]["left_ms"] <= 10_000
    assert invoke(front_door, f"{arn}:2", {})["Payload"]["body"] == "two"


def test_latest_follows_a_configuration_update_at_once(
    front_door: parts.FrontDoor, function: str
) -> None:
    """An update of $LATEST is in force for the next invocation."""
    for label in ("three", "four"):
        front_door.aws.update_function_configuration(
            FunctionName=function, Environment={"Variables": {"LABEL": label}}
        )
        assert invoke(front_door, function, {})["Payload"]["body"] == label


def test_raised_exception_is_a_function_error_with_its_trace(
    front_door: parts.FrontDoor, function: str
) -> None:
    """An exception is answered as AWS's runtime reports it, and the log tail shows it."""
    answer = invoke(front_door, function, {"do": "raise"}, Qualifier="live", LogType="Tail")

    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "ValueError"
    assert answer["Payload"]["errorMessage"] == "broken on purpose"
    assert "app.py" in answer["Payload"]["stackTrace"][0]
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "[ERROR] ValueError: broken on purpose" in tail
    assert tail.index("START RequestId") < tail.index("[ERROR]") < tail.index("END RequestId")
    assert "Init Duration" in tail


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"do": "exit"}, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ({"do": "crash"}, "Runtime.ExitError", "signal: segmentation fault"),
        ({"do": "large"}, "Function.ResponseSizeTooLarge", "exceeded maximum allowed"),
        ({"do": "sleep", "seconds": 30}, "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_worker_that_ends_is_reported_and_replaced(
    front_door: parts.FrontDoor, event: dict[str, Any], kind: str, message: str
) -> None:
    """A crash, a timeout and an answer too large are errors, and the next event is served."""
    function = f"ending-{kind.split('.')[1]}-{event['do']}"
    front_door.deploy(function, timeout=1)

    answer = invoke(front_door, function, event)

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == kind
    assert message in answer["Payload"]["errorMessage"]
    assert invoke(front_door, function, {})["Payload"]["statusCode"] == 200


@pytest.mark.parametrize(
    ("broken", "kind"), [("raise", "RuntimeError"), ("exit", "Runtime.ExitError")]
)
def test_failed_init_is_the_answer(front_door: parts.FrontDoor, broken: str, kind: str) -> None:
    """A handler that cannot be loaded answers each invocation with the reason."""
    front_door.deploy(f"init-{broken}", BREAK_INIT=broken)

    for _ in range(2):
        answer = invoke(front_door, f"init-{broken}", {})

        assert answer["FunctionError"] == "Unhandled"
        assert answer["Payload"]["errorType"] == kind


def test_worker_sees_nothing_of_the_host(front_door: parts.FrontDoor, function: str) -> None:
    """A worker has Lambda's variables, the configured and the given ones, and no other."""
    seen = invoke(front_door, function, {"do": "environment"}, Qualifier="live")["Payload"]

    assert seen["CONFIGURED"] == "yes"
    assert seen["GIVEN"] == "by the data plane"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == function
    assert seen["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{function}"
    lambdas_own = {"PATH", "LANG", "TZ", "LC_CTYPE", "PYTHONDONTWRITEBYTECODE", "_HANDLER"}
    others = {n for n in seen if not n.startswith(("AWS_", "LAMBDA_", "_X_AMZN")) and n != "LABEL"}
    assert others - lambdas_own == {"CONFIGURED", "GIVEN"}
    assert not {name for name in seen if "ENDPOINT" in name}


def test_given_variable_wins_over_the_configured_one(front_door: parts.FrontDoor) -> None:
    """`--worker-env` replaces a variable of the function's configuration."""
    front_door.deploy("given", GIVEN="configured")

    assert invoke(front_door, "given", {"do": "environment"})["Payload"]["GIVEN"] == (
        "by the data plane"
    )


def test_event_invocation_answers_at_once_and_runs(
    front_door: parts.FrontDoor, function: str, recorder: parts.Recorder
) -> None:
    """Event is accepted with 202 and then run; DryRun checks and runs nothing."""
    event = {"FunctionName": function, "Qualifier": "live", "Payload": "{}"}

    assert front_door.aws.invoke(**event, InvocationType="DryRun")["StatusCode"] == 204
    assert front_door.aws.invoke(**event, InvocationType="Event")["StatusCode"] == 202

    parts.until(lambda: recorder.total("AWS/Lambda", "Invocations", FunctionName=function) == 1)


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ({"FunctionName": "absent"}, "ResourceNotFoundException", 404),
        ({"FunctionName": "here", "Qualifier": "absent"}, "ResourceNotFoundException", 404),
        ({"FunctionName": "here", "Qualifier": "99"}, "ResourceNotFoundException", 404),
        ({"FunctionName": "here", "Payload": "{"}, "InvalidRequestContentException", 400),
    ],
)
def test_invocation_that_cannot_be_is_refused(
    front_door: parts.FrontDoor, options: dict[str, str], code: str, status: int
) -> None:
    """Unknown functions, aliases and versions are 404, a payload that is no JSON is 400."""
    front_door.deploy("here")

    with pytest.raises(ClientError) as caught:
        front_door.aws.invoke(**options)

    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_code_that_is_not_what_its_name_says_is_not_run(front_door: parts.FrontDoor) -> None:
    """A zip in the bucket whose digest differs from its key is refused."""
    key = front_door.upload("def handler(event, context): return 'right'")
    front_door.aws.create_function(
        FunctionName="tampered",
        Role="arn:aws:iam::000000000000:role/any",
        Runtime="python3.13",
        Handler="app.handler",
        Code={"S3Bucket": parts.BUCKET, "S3Key": key},
    )
    front_door.s3.put_object(Bucket=parts.BUCKET, Key=key, Body=b"something else")

    with pytest.raises(ClientError, match="digest"):
        front_door.aws.invoke(FunctionName="tampered")


def test_control_planes_proxy_call_reaches_a_worker(
    front_door: parts.FrontDoor, function: str
) -> None:
    """A schedule's event is run by the alias's version; a function error is not a 2xx."""
    path = f"/_proxy/{function}/live"

    good = parts.get(front_door.port, path, method="POST", body=b'{"do": "context"}')
    bad = parts.get(front_door.port, path, method="POST", body=b'{"do": "raise"}')

    assert (good.status, json.loads(good.body)["version"]) == (200, "1")
    assert (bad.status, json.loads(bad.body)["errorType"]) == (500, "ValueError")

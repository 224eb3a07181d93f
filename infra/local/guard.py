"""The guard of an environment: infrastructure, so that no release replaces what guards it."""

from typing import Any

from infra.local.clients import already_there
from infra.local.first_version import ALIAS, KINDS, EnvironmentSpec
from release.alarms import rollback_alarm_names

GUARD = "guard"
_TIMEOUT_SECONDS = 60  # two functions and the alarms at their slowest: api_lambda/guard/app.py
_MEMORY_MB = 256
_WAIT = {"Delay": 0.2, "MaxAttempts": 150}


def put_guard(lambda_: Any, spec: EnvironmentSpec) -> tuple[str, bool]:
    """The guard is of this code; its ARN, and whether it is new.

    It has no alias: nobody shifts traffic to it.
    """
    function = spec.function(GUARD)
    code = {
        "S3Bucket": f"{spec.service}-artifacts",
        "S3Key": f"lambda/{spec.artifacts[GUARD]}.zip",
    }
    settings = _settings(function, spec)
    found = None
    with already_there("ResourceNotFoundException"):
        found = lambda_.update_function_code(FunctionName=function, **code)
    if found is not None:
        _settled(lambda_, "function_updated_v2", function)
        lambda_.update_function_configuration(**settings)
        return str(found["FunctionArn"]), False
    made = lambda_.create_function(Runtime="python3.13", Code=code, **settings)
    _settled(lambda_, "function_active_v2", function)
    return str(made["FunctionArn"]), True


def _settings(function: str, spec: EnvironmentSpec) -> dict[str, Any]:
    variables = {
        "FUNCTIONS": ",".join(spec.function(kind) for kind in KINDS),
        "ALIAS": ALIAS,
        "ALARMS": ",".join(rollback_alarm_names(spec.service, spec.environment)),
    }
    return {
        "FunctionName": function,
        "Handler": "app.handler",
        "Role": f"arn:aws:iam::000000000000:role/{function}",
        "Timeout": _TIMEOUT_SECONDS,
        "MemorySize": _MEMORY_MB,
        "Environment": {"Variables": variables},
    }


def _settled(lambda_: Any, state: str, function: str) -> None:
    lambda_.get_waiter(state).wait(FunctionName=function, WaiterConfig=_WAIT)

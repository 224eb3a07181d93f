"""An environment's stack, made by CloudFormation as in an account; promotions change it later."""

from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra.local.environment_spec import GUARD, EnvironmentSpec
from infra.local.template import read_text
from release.promotion import artifact_parameter

_WAIT = {"Delay": 0.2, "MaxAttempts": 300}
_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class StackError(Exception):
    """CloudFormation does not make the stack; the text says why and what to do."""


def deploy_stack(cloudformation: Any, spec: EnvironmentSpec) -> bool:
    """The stack exists, with these parameters; whether it is new.

    Of one that is there the first version is left as it was, for promotions have published others;
    and so is a template that promotions change.
    """
    had = _parameters(cloudformation, spec.name)
    of_first = {*map(artifact_parameter, spec.functions), "FirstVersion", "FirstCommit"}
    order: dict[str, Any] = {"StackName": spec.name, "Capabilities": _CAPABILITIES}
    wanted = parameters_of(spec)
    try:
        if had is None:
            given = [_given(name, value) for name, value in wanted.items()]
            cloudformation.create_stack(**order, TemplateBody=spec.template, Parameters=given)
            _settled(cloudformation, "stack_create_complete", spec.name)
        else:
            if spec.is_promoted:
                order["UsePreviousTemplate"] = True
                wanted = {name: value for name, value in wanted.items() if name in had}
            else:
                order["TemplateBody"] = spec.template
            given = [
                _previous(name) if name in of_first else _given(name, value)
                for name, value in wanted.items()
            ]
            cloudformation.update_stack(**order, Parameters=given)
            _settled(cloudformation, "stack_update_complete", spec.name)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise StackError(f"stack {spec.name}: {error}") from error
    return had is None


def parameters_of(spec: EnvironmentSpec) -> dict[str, str]:
    """The template's parameters, but for those whose default is right here."""
    artifacts = {name: spec.artifacts.get(name, "") for name in (*spec.functions, GUARD)}
    known = {
        "Service": spec.service,
        "Environment": spec.environment,
        "ArtifactBucket": f"{spec.service}-artifacts",
        **{artifact_parameter(name): digest for name, digest in artifacts.items()},
        "FirstVersion": spec.version,
        "FirstCommit": spec.git_sha,
        "PriceFeedUrl": spec.price_feed,
        "Symbols": ",".join(spec.symbols),
        "RateLimitPerMinute": str(spec.rate_limit),
        "AlarmPeriodSeconds": str(spec.alarm_period_seconds),
    }
    declared = read_text(spec.template)["Parameters"]
    return {name: value for name, value in known.items() if name in declared}


def _parameters(cloudformation: Any, name: str) -> set[str] | None:
    """The parameters of the stack that is there; None where there is none."""
    try:
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return {parameter["ParameterKey"] for parameter in stack["Parameters"]}


def _settled(cloudformation: Any, waiter: str, name: str) -> None:
    try:
        cloudformation.get_waiter(waiter).wait(StackName=name, WaiterConfig=_WAIT)
    except WaiterError as error:
        raise StackError(f"stack {name}: {_why(cloudformation, name) or error}") from error


def _why(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    )


def _given(name: str, value: str) -> dict[str, Any]:
    return {"ParameterKey": name, "ParameterValue": value}


def _previous(name: str) -> dict[str, Any]:
    return {"ParameterKey": name, "UsePreviousValue": True}

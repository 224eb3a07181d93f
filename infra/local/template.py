"""A template as data, and the alarms that stand in it."""

import re
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"
_CLOUDWATCH = "AWS::CloudWatch::"
_LONG = ("Ref", "Condition")  # every other short form is an `Fn::`


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML with CloudFormation's short forms, `!Sub x`, as their long ones."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in _LONG else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: str(value).split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)  # noqa: S101  YAML has no fourth kind
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template, its short forms spelled out."""
    return read_text(path.read_text())


def read_text(text: str) -> dict[str, Any]:
    """A template in YAML or JSON, its short forms spelled out."""
    loader = _Loader(text)
    try:
        found: dict[str, Any] = loader.get_single_data()
    finally:
        loader.dispose()
    return found


def parameter_values(template: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    """What `Ref` gives of each parameter, and of an API: here requests are counted by its name."""
    values: dict[str, Any] = {}
    for name, parameter in template.get("Parameters", {}).items():
        value = given.get(name, parameter.get("Default", ""))
        values[name] = int(value) if parameter["Type"] == "Number" else value
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            values[name] = resolved(resource["Properties"]["Name"], template, values)
    return values


def alarms(template: dict[str, Any], values: dict[str, Any]) -> list[dict[str, Any]]:
    """`PutMetricAlarm` arguments of the template's alarms, without their actions.

    `values` are those of the parameters, and what `Ref` gives of resources that have no name.
    """
    found = [
        resolved(resource["Properties"], template, values)
        for resource in template["Resources"].values()
        if resource["Type"] == f"{_CLOUDWATCH}Alarm"
    ]
    return [{name: of for name, of in one.items() if name != "AlarmActions"} for one in found]


def scheduled(template: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The functions whose alias a rule of the template invokes, by their full names."""
    resources = template["Resources"]
    rules = [one for one in resources.values() if one["Type"] == "AWS::Events::Rule"]
    targets = [
        target["Arn"].get("Ref") for rule in rules for target in rule["Properties"]["Targets"]
    ]
    aliases = [resources[name] for name in targets if name in resources]
    return [
        str(resolved(one["Properties"]["FunctionName"], template, values))
        for one in aliases
        if one["Type"] == "AWS::Lambda::Alias"
    ]


def resolved(value: Any, template: dict[str, Any], values: dict[str, Any]) -> Any:
    """With `Ref` and `Fn::Sub` put in."""

    def of(name: str) -> Any:
        if name in values:
            return values[name]
        function = template["Resources"].get(name, {}).get("Properties", {}).get("FunctionName")
        return resolved(function, template, values) if function else name

    if isinstance(value, list):
        return [resolved(inner, template, values) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return of(value["Ref"])
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(of(found[1])), value["Fn::Sub"])
    return {name: resolved(inner, template, values) for name, inner in value.items()}

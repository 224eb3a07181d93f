"""What ministack's CloudFormation does not make stands under another name there.

It refuses an alarm of several metrics and knows no composite alarm. So that the diff of a change
set is its own for these too, `Metrics` is kept under a name that it does not read, and a composite
alarm as a type that makes nothing. In its answers they are called by their names again.
"""

import json
from typing import Any

import yaml

from infra.local.template import read_text

_METRICS, _KEPT_METRICS = "Metrics", "LaptopMetrics"
_COMPOSITE, _NOTHING = "AWS::CloudWatch::CompositeAlarm", "AWS::CDK::Metadata"
_PLACEHOLDER = {"Namespace": "Laptop", "MetricName": "Metrics"}  # an alarm has to have one


def with_stand_ins(text: str) -> str:
    """A template, in YAML or JSON, as ministack takes it; what is none is ministack's to refuse."""
    try:
        template = read_text(text)
    except yaml.YAMLError:
        return text
    resources = {
        name: _stand_in(resource) for name, resource in template.get("Resources", {}).items()
    }
    return json.dumps(template | {"Resources": resources})


def real_type(type_: str) -> str:
    """What the template calls it."""
    return _COMPOSITE if type_ == _NOTHING else type_


def real_property(name: str) -> str:
    """What the template calls it."""
    return _METRICS if name == _KEPT_METRICS else name


def without_stand_ins(text: str) -> dict[str, Any]:
    """The template that `with_stand_ins` was given, its short forms spelled out."""
    template: dict[str, Any] = json.loads(text)
    resources = {name: _real(resource) for name, resource in template.get("Resources", {}).items()}
    return template | {"Resources": resources}


def _stand_in(resource: dict[str, Any]) -> dict[str, Any]:
    properties = resource.get("Properties", {})
    if resource["Type"] == _COMPOSITE:
        return resource | {"Type": _NOTHING}
    if resource["Type"] == "AWS::CloudWatch::Alarm" and _METRICS in properties:
        kept = {name: value for name, value in properties.items() if name != _METRICS}
        kept |= _PLACEHOLDER | {_KEPT_METRICS: properties[_METRICS]}
        return resource | {"Properties": kept}
    return resource


def _real(resource: dict[str, Any]) -> dict[str, Any]:
    properties = resource.get("Properties", {})
    if _KEPT_METRICS not in properties:
        return resource | {"Type": real_type(resource["Type"])}
    kept = {
        real_property(name): value for name, value in properties.items() if name not in _PLACEHOLDER
    }
    return resource | {"Properties": kept}

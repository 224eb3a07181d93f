"""The templates as data: CloudFormation's short forms (`!Sub x`) as their long ones."""

from pathlib import Path
from typing import Any

import yaml

INFRA = Path(__file__).resolve().parents[2] / "infra"


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def template(name: str) -> dict[str, Any]:
    """A template of `infra/`."""
    return yaml.load((INFRA / name).read_text(), _Loader)


def statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Every statement of a role's or a managed policy's own documents."""
    properties = resource["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if "PolicyDocument" in properties:
        documents.append(properties["PolicyDocument"])
    return [statement for document in documents for statement in document["Statement"]]


def actions(resource: dict[str, Any]) -> set[str]:
    """All that it allows."""
    found = [statement["Action"] for statement in statements(resource)]
    return {one for each in found for one in ([each] if isinstance(each, str) else each)}

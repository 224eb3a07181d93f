"""What a template's roles and policies allow."""

from pathlib import Path
from typing import Any

from infra.local.template import read_template

INFRA = Path(__file__).resolve().parents[2] / "infra"


def template(name: str) -> dict[str, Any]:
    """A template of `infra/`."""
    return read_template(INFRA / name)


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

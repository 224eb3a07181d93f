"""A described change set, put right: real names, true replacements, values before and after."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree  # nosec B405

from infra.local.stacks.recreation import Recreation
from infra.local.stacks.stand_ins import real_property, real_type

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_N = f"{{{NAMESPACE}}}"
_LONGEST_VALUE = 200

Values = Callable[[str, str], tuple[Any, Any]]
"""Logical id and property → its value before and after; None where there is none."""


def corrected(document: bytes, recreation: Recreation, values: Values | None) -> bytes:
    """The answer of DescribeChangeSet as AWS would give it, as far as the emulator's diff goes."""
    root = parsed(document)
    changes = root.find(f".//{_N}Changes")
    if changes is not None:
        for change in _resources(changes):
            _rename(change)
            _recreate(change, recreation)
        while _drop_unfounded(changes):
            pass
        for change in _resources(changes):
            if _text(change, "Action") == "Modify":
                _put(change, "Replacement", _replacement(change))
                if values:
                    _show_values(change, values)
    ElementTree.register_namespace("", NAMESPACE)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def parsed(document: bytes) -> ElementTree.Element:
    """An answer of the emulator's own, in which nobody can have put entities."""
    return ElementTree.fromstring(document)  # noqa: S314  # nosec B314


def _rename(change: ElementTree.Element) -> None:
    _put(change, "ResourceType", real_type(_text(change, "ResourceType")))
    for target in change.iter(f"{_N}Target"):
        if target.find(f"{_N}Name") is not None:
            _put(target, "Name", real_property(_text(target, "Name")))


def _recreate(change: ElementTree.Element, recreation: Recreation) -> None:
    type_ = _text(change, "ResourceType")
    for target in change.iter(f"{_N}Target"):
        if _text(target, "Attribute") == "Properties":
            said = _text(target, "RequiresRecreation")
            _put(target, "RequiresRecreation", recreation.of(type_, _text(target, "Name"), said))


def _drop_unfounded(changes: ElementTree.Element) -> bool:
    """A reference to what is not replaced, or does not change, is no change; whether one was."""
    known = {_text(change, "LogicalResourceId"): change for change in _resources(changes)}
    dropped = False
    for member in list(changes):
        change = member.find(f"{_N}ResourceChange")
        details = change.find(f"{_N}Details") if change is not None else None
        if change is None or details is None or _text(change, "Action") != "Modify":
            continue
        for detail in list(details):
            if _is_unfounded(detail, known):
                details.remove(detail)
                dropped = True
        if not len(details):
            changes.remove(member)
            dropped = True
    return dropped


def _is_unfounded(detail: ElementTree.Element, known: dict[str, ElementTree.Element]) -> bool:
    source = _text(detail, "ChangeSource")
    if source not in ("ResourceReference", "ResourceAttribute"):
        return False
    causing = known.get(_text(detail, "CausingEntity").partition(".")[0])
    if causing is None:
        return True
    return source == "ResourceReference" and _replacement(causing) == "False"


def _replacement(change: ElementTree.Element) -> str:
    """As the API's page on ResourceChange says it."""
    asked = {
        (_text(detail, "Target/RequiresRecreation"), _text(detail, "Evaluation"))
        for detail in change.iterfind(f"{_N}Details/{_N}member")
    }
    if ("Always", "Static") in asked:
        return "True"
    return "Conditional" if any(needs != "Never" for needs, _ in asked) else "False"


def _show_values(change: ElementTree.Element, values: Values) -> None:
    for detail in change.iterfind(f"{_N}Details/{_N}member"):
        target = detail.find(f"{_N}Target")
        if target is None or _text(detail, "ChangeSource") != "DirectModification":
            continue
        name = _text(target, "Name")
        both = values(_text(change, "LogicalResourceId"), name)
        for key, value in zip(("BeforeValue", "AfterValue"), both, strict=True):
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value)
                _put(target, key, text[:_LONGEST_VALUE])


def _resources(changes: ElementTree.Element) -> list[ElementTree.Element]:
    return changes.findall(f"{_N}member/{_N}ResourceChange")


def _text(element: ElementTree.Element, path: str) -> str:
    names = "/".join(f"{_N}{name}" for name in path.split("/"))
    return element.findtext(names, default="")


def _put(element: ElementTree.Element, name: str, text: str) -> None:
    found = element.find(f"{_N}{name}")
    if found is None:
        found = ElementTree.SubElement(element, f"{_N}{name}")
    found.text = text

"""The payloads of a history that is plain data, read by the codec with which they were written."""

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from release.audit_events import Event
from release.audit_events import read as read_payload


async def decoded(events: list[Event], codec: PayloadCodec | None) -> list[Event]:
    """The events as they would stand there without a codec, error messages included."""
    if codec is None:
        return events
    plain: list[Event] = json.loads(json.dumps(events))
    found = list(_payloads(plain))
    read = await codec.decode([ParseDict(node, Payload()) for node in found])
    for node, payload in zip(found, read, strict=True):
        node.clear()
        node.update(MessageToDict(payload))
    for failure in _failures(plain):
        words = read_payload(failure.pop("encodedAttributes")) or {}
        failure["message"] = words.get("message", "")
        if words.get("stack_trace"):
            failure["stackTrace"] = words["stack_trace"]
    return plain


def _payloads(node: Any) -> Iterator[dict[str, Any]]:
    for one in _objects(node):
        metadata = one.get("metadata")
        if isinstance(metadata, dict) and "encoding" in metadata:
            yield one


def _failures(node: Any) -> Iterator[dict[str, Any]]:
    return (one for one in _objects(node) if "encodedAttributes" in one)


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in it, outer ones first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _objects(value)

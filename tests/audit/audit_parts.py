"""Recorded promotions made lifelike: the same events, as far apart as on a real day."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from release.audit_events import Event, attributes, handed_over

HISTORIES = Path(__file__).parents[1] / "flow" / "histories"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z$")


def recorded(name: str) -> list[Event]:
    """The events of one of the flow's recordings."""
    events: list[Event] = json.loads((HISTORIES / f"{name}.json").read_text())["events"]
    return events


def promotion_of(events: list[Event]) -> str:
    """The id under which it was recorded."""
    left = handed_over(events)
    assert left is not None
    return str(left["status"]["workflow_id"])


def changed_payloads(node: Any, change: Callable[[Any], Any]) -> Any:
    """The same with each payload's value changed."""
    if isinstance(node, dict) and "data" in node and "metadata" in node:
        value = change(json.loads(base64.b64decode(node["data"])))
        return node | {"data": base64.b64encode(json.dumps(value).encode()).decode()}
    if isinstance(node, dict):
        return {key: changed_payloads(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [changed_payloads(value, change) for value in node]
    return node


def lifelike(events: list[Event], seconds: dict[str, float]) -> list[Event]:
    """Each named activity takes so many seconds, and each named signal comes so much later."""
    edges = list(_edges(events, seconds))

    def moved(text: str) -> str:
        moment = datetime.fromisoformat(text)
        later = sum(more for edge, more in edges if edge <= moment)
        return f"{moment + timedelta(seconds=later):%Y-%m-%dT%H:%M:%S.%f}Z"

    def in_payload(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: in_payload(one) for key, one in value.items()}
        if isinstance(value, list):
            return [in_payload(one) for one in value]
        return moved(value) if isinstance(value, str) and _TIME.match(value) else value

    return [
        changed_payloads(event, in_payload) | {"eventTime": moved(event["eventTime"])}
        for event in events
    ]


def _edges(events: list[Event], seconds: dict[str, float]) -> Iterator[tuple[datetime, float]]:
    names: dict[str, str] = {}
    for event in events:
        said = attributes(event)
        moment = datetime.fromisoformat(event["eventTime"])
        if "activityType" in said:
            names[event["eventId"]] = said["activityType"]["name"]
        ended = event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED"
        name = names.get(said.get("scheduledEventId", ""), "") if ended else ""
        name = name or said.get("signalName", "")
        if name in seconds:
            yield moment, seconds[name]

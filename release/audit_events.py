"""A workflow's history as a plain list of events: payloads read, activities and messages paired.

The events are protobuf JSON, as Temporal's own export has them.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = dict[str, Any]
_WORKFLOW = "EVENT_TYPE_WORKFLOW_EXECUTION_"
_CLOSED = ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")


def name(event: Event) -> str:
    """The event's type in short: `ACTIVITY_TASK_SCHEDULED`."""
    return str(event.get("eventType", "")).removeprefix("EVENT_TYPE_")


def at(event: Event) -> datetime:
    """When Temporal wrote it."""
    return datetime.fromisoformat(event["eventTime"])


def attributes(event: Event) -> dict[str, Any]:
    """What the event says; empty for one that says nothing."""
    return next((v for k, v in event.items() if k.endswith("EventAttributes")), {})


def read(payload: Any) -> Any:
    """A payload's value; None for an empty one, and for one that is not JSON."""
    try:
        return json.loads(base64.b64decode(payload["data"]))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None


def first(payloads: Any) -> Any:
    """The first value of what protobuf calls payloads."""
    found = (payloads or {}).get("payloads", [])
    return read(found[0]) if found else None


@dataclass
class Call:
    """One activity that the workflow asked for; with its answer, once there is one."""

    name: str
    at: datetime
    order: Any
    summary: str = ""
    begun: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    answer: Any = None
    failure: str = ""


_ENDINGS = {"FAILED": "failed", "TIMED_OUT": "timed out", "CANCELED": "cancelled"}


def calls(events: list[Event]) -> list[Call]:
    """Every activity, in the order in which the workflow asked for them."""
    found: dict[str, Call] = {}
    for event in events:
        said, kind = attributes(event), name(event).removeprefix("ACTIVITY_TASK_")
        if kind == "SCHEDULED" and "activityType" in said:
            found[event["eventId"]] = Call(
                name=said["activityType"]["name"],
                at=at(event),
                order=first(said.get("input")),
                summary=str(read(event.get("userMetadata", {}).get("summary")) or ""),
            )
        call = found.get(said.get("scheduledEventId", ""))
        if call is None or not name(event).startswith("ACTIVITY_TASK_"):
            continue
        if kind == "STARTED":
            call.begun, call.attempts = at(event), int(said.get("attempt", 1))
        elif kind == "COMPLETED":
            call.ended, call.answer = at(event), first(said.get("result"))
        elif kind in _ENDINGS:
            call.ended, call.failure = at(event), cause(said.get("failure")) or _ENDINGS[kind]
    return list(found.values())


def cause(failure: Any) -> str:
    """The innermost message of a failure: what really went wrong."""
    text = ""
    while isinstance(failure, dict):
        text, failure = failure.get("message", "") or text, failure.get("cause")
    return str(text)


@dataclass
class Sent:
    """A message that reached the workflow; of an update also what was answered."""

    at: datetime
    door: str
    kind: str
    payload: Any
    answered: bool = False
    refusal: str = ""


def messages(events: list[Event]) -> list[Sent]:
    """Every signal, accepted update and request to cancel, in the order of their arrival."""
    found: list[Sent] = []
    updates: dict[str, Sent] = {}
    for event in events:
        said, kind = attributes(event), name(event)
        if kind == "WORKFLOW_EXECUTION_SIGNALED":
            found.append(Sent(at(event), "signal", said["signalName"], first(said.get("input"))))
        elif kind == "WORKFLOW_EXECUTION_UPDATE_ACCEPTED":
            asked = said.get("acceptedRequest", {}).get("input", {})
            sent = Sent(at(event), "update", asked.get("name", "?"), first(asked.get("args")))
            updates[event["eventId"]] = sent
            found.append(sent)
        elif kind == "WORKFLOW_EXECUTION_UPDATE_COMPLETED":
            sent = updates[said["acceptedEventId"]]
            sent.answered, sent.refusal = True, cause(said.get("outcome", {}).get("failure"))
        elif kind == "WORKFLOW_EXECUTION_CANCEL_REQUESTED":
            found.append(Sent(at(event), "cancel", "cancel", {"reason": said.get("cause", "")}))
    return found


def upserts(events: list[Event], attribute: str) -> Iterator[tuple[datetime, str]]:
    """Each time the workflow set a search attribute, and to what."""
    for event in events:
        fields = attributes(event).get("searchAttributes", {}).get("indexedFields", {})
        if attribute in fields:
            yield at(event), str(read(fields[attribute]))


def closing(events: list[Event]) -> Event | None:
    """The event with which the workflow closed; None while it runs."""
    last = events[-1] if events else {}
    kind = str(last.get("eventType", ""))
    closed = kind.removeprefix(_WORKFLOW) in _CLOSED and kind.startswith(_WORKFLOW)
    return last if closed else None


def handed_over(events: list[Event]) -> dict[str, Any] | None:
    """What the promotion left to its record at its end: all that it decided, in its own words."""
    for event in reversed(events):
        said = attributes(event)
        if said.get("workflowType", {}).get("name") == "RecordWorkflow" and "input" in said:
            found = first(said["input"])
            return found if isinstance(found, dict) else None
    return None

"""Events of a history, named so that the same boundary has the same name in every run."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.client import WorkflowHandle

_CLOSED = {"COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED"}


class Labels:
    """Names the events of one run, in their order."""

    def __init__(self) -> None:
        self._last = "start"
        self._activities: dict[int, str] = {}
        self._counts: Counter[str] = Counter()

    def of(self, event: Any) -> str:
        """The event's name; empty for what only a fault brings about."""
        kind = kind_of(event)
        if kind.startswith("WORKFLOW_TASK_"):
            if kind in {"WORKFLOW_TASK_TIMED_OUT", "WORKFLOW_TASK_FAILED"}:
                return ""
            return f"{kind} after {self._last}"
        self._last = self._name(kind, event)
        return self._last

    def _name(self, kind: str, event: Any) -> str:
        if kind == "ACTIVITY_TASK_SCHEDULED":
            said = event.activity_task_scheduled_event_attributes
            name = self._numbered(said.activity_type.name)
            self._activities[event.event_id] = name
            return f"scheduled {name}"
        if kind.startswith("ACTIVITY_TASK_"):
            attributes = getattr(event, event.WhichOneof("attributes"))
            name = self._activities.get(attributes.scheduled_event_id, "?")
            return f"{kind.removeprefix('ACTIVITY_TASK_').lower()} {name}"
        stage = stage_of(event)
        return f"stage {stage}" if stage else self._numbered(kind.lower())

    def _numbered(self, name: str) -> str:
        self._counts[name] += 1
        return f"{name}#{self._counts[name]}"


def kind_of(event: Any) -> str:
    """`ACTIVITY_TASK_SCHEDULED`, say."""
    return str(MessageToDict(event)["eventType"]).removeprefix("EVENT_TYPE_")


def stage_of(event: Any) -> str:
    """The stage that the event says the promotion is in; empty for any other event."""
    fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes
    if "ReleaseStage" not in fields.indexed_fields:
        return ""
    return str(json.loads(fields.indexed_fields["ReleaseStage"].data))


def closes(event: Any) -> bool:
    """Whether the workflow ended by it."""
    kind = kind_of(event)
    whole, _, how = kind.rpartition("WORKFLOW_EXECUTION_")
    return not whole and how in _CLOSED


async def follow(handle: WorkflowHandle[Any, Any]) -> AsyncIterator[Any]:
    """Every event as soon as it stands; Temporal's absences are ridden out."""
    seen = 0
    while True:
        try:
            async for event in handle.fetch_history_events(wait_new_event=True):
                if event.event_id > seen:
                    seen = event.event_id
                    yield event
                    if closes(event):
                        return
        except Exception as outage:
            print("no history:", type(outage).__name__, str(outage)[:80])
            await asyncio.sleep(0.2)

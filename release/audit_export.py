"""The export of a closed run: what is kept of it when Temporal has deleted its history."""

from datetime import datetime
from typing import Any

from pydantic import Field

from release.audit_chain import GENESIS, Export, Kind, chain
from release.audit_events import Event, at, attributes, first
from release.audit_story import NotAPromotion, tell
from release.message import Message

PARTITION = "AUDIT#prod"
FORMAT = 1


class AuditRecord(Message):
    """Where a run's export lies, and the head of its chain: what the export is held to."""

    workflow_id: str
    run_id: str
    head: str
    key: str
    events: int
    at: datetime = Field(description="of the run's last event")
    lock: str = Field("", description="S3's lock on the object, in words; empty: there is none")

    def to_item(self) -> dict[str, Any]:
        """The DynamoDB item."""
        text = {"head": self.head, "key": self.key, "at": self.at.isoformat(), "lock": self.lock}
        return {
            "PK": {"S": PARTITION},
            "SK": {"S": f"{self.workflow_id}#{self.run_id}"},
            "events": {"N": str(self.events)},
            **{name: {"S": value} for name, value in text.items()},
        }

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> "AuditRecord":
        """The record that an item holds."""
        workflow_id, _, run_id = item["SK"]["S"].rpartition("#")
        return cls(
            workflow_id=workflow_id,
            run_id=run_id,
            events=int(item["events"]["N"]),
            at=datetime.fromisoformat(item["at"]["S"]),
            **{name: item[name]["S"] for name in ("head", "key", "lock")},
        )


def key(workflow_id: str, run_id: str) -> str:
    """Where the export of a run lies in the artifact bucket.

    The whole run id: its first half is a clock, so two runs of one minute begin alike.
    """
    return f"{prefix(workflow_id)}{run_id}.jsonl"


def prefix(workflow_id: str) -> str:
    """Below what the exports of a workflow's runs lie."""
    return f"audit/{workflow_id}/"


def export(events: list[Event], workflow_id: str, run_id: str, genesis: str = GENESIS) -> Export:
    """The chain of a closed run of any workflow: the same for the same history, whenever made.

    `genesis` is the head of the export that this one belongs behind: a release's watch after the
    deploy, or its rollback, behind the promotion.
    """
    begin = attributes(events[0])
    request = first(begin.get("input"))
    asked = request if isinstance(request, dict) else {}
    policy = asked.get("policy")
    header = {
        "format": FORMAT,
        "workflow": workflow_id,
        "run": run_id,
        "type": begin["workflowType"]["name"],
        "service": policy["service"] if isinstance(policy, dict) else asked.get("service", ""),
        "sha": asked.get("sha", ""),
        "version": asked.get("version", ""),
        "begun": at(events[0]).isoformat(),
        "genesis": genesis,
    }
    return chain(header, events, _decisions(events, workflow_id), genesis)


def unfounded(found: Export) -> list[str]:
    """What header and decisions say that does not follow from the events beside them."""
    events = found.contents(Kind.EVENT)
    if not events or found.problems:
        return []
    said = found.header
    try:
        made = export(events, said["workflow"], said["run"], said["genesis"])
    except (KeyError, TypeError, ValueError) as error:
        return [f"its events cannot be read: {error!r}"]
    problems = []
    if made.header != said:
        problems.append("its header does not follow from its events")
    if made.contents(Kind.DECISION) != found.contents(Kind.DECISION):
        problems.append("its decisions do not follow from its events")
    return problems


def _decisions(events: list[Event], workflow_id: str) -> list[dict[str, Any]]:
    try:
        return tell(events, workflow_id).decisions()
    except NotAPromotion:
        return []

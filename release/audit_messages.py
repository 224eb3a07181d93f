"""What was said to a promotion, and what became of it."""

from datetime import datetime
from typing import Any

from release.audit import Fate, Said
from release.audit_events import Event, Sent, messages

_SECRET = ("code",)
_NAMES = {"sign_off": "sign-off", "finish_now": "finish-now", "lane_says": "lane"}
_LATE = "it arrived when the promotion took no more messages"


def told(events: list[Event], inbox: list[dict[str, Any]] | None) -> tuple[Said, ...]:
    """Every message with its fate, and the promotion's own notes, in order.

    `inbox` is the promotion's account of what it did with them; without it only updates, whose
    answers stand in the history, are known to be applied or refused.
    """
    left = list(inbox or ())
    said = [one for sent in messages(events) for one in _fates(sent, left, known=inbox is not None)]
    notes = [_note(record) for record in left]
    return tuple(sorted([*said, *notes], key=lambda one: one.at))


def _fates(sent: Sent, left: list[dict[str, Any]], *, known: bool) -> list[Said]:
    """One message; or several, where one brought the votes of several people."""
    payload = sent.payload if isinstance(sent.payload, dict) else {"payload": sent.payload}
    if sent.payload is None:
        payload = {}
    by = str(payload.get("approver") or payload.get("by") or "")
    kind = _NAMES.get(sent.kind, sent.kind)
    shown = {key: value for key, value in payload.items() if key not in _SECRET}
    # an update is written down only once it was handled, with the answer of the same moment
    since = sent.at if sent.door == "signal" else None
    records = _take(left, kind, by, since, several="github_run" in payload)
    if records:
        return [_judged(sent, record, shown) for record in records]
    one = Said(
        at=sent.at, door=sent.door, kind=kind, by=by or "unknown", fate=Fate.UNKNOWN, payload=shown
    )
    if sent.door == "cancel":
        return [one.model_copy(update={"fate": Fate.APPLIED, "by": "Temporal"})]
    if sent.answered:
        fate = Fate.REFUSED if sent.refusal else Fate.APPLIED
        return [one.model_copy(update={"fate": fate, "text": sent.refusal})]
    return [one.model_copy(update={"text": _LATE})] if known else [one]


def _take(
    left: list[dict[str, Any]], kind: str, by: str, since: datetime | None, *, several: bool
) -> list[dict[str, Any]]:
    """The inbox's records that a message made; they are taken out."""
    fitting = [
        record
        for record in left
        if record["kind"] == kind
        and (record["by"] in (by, "unknown") or not by)
        and (since is None or datetime.fromisoformat(record["at"]) >= since)
    ]
    taken = fitting if several else fitting[:1]
    if several and taken:  # the votes of one review are noted at one moment
        taken = [record for record in taken if record["at"] == taken[0]["at"]]
    for record in taken:
        left.remove(record)
    return taken


def _judged(sent: Sent, record: dict[str, Any], shown: dict[str, Any]) -> Said:
    return Said(
        at=sent.at,
        door=sent.door,
        kind=record["kind"],
        by=record["by"],
        fate=Fate.APPLIED if record["accepted"] else Fate.REFUSED,
        text=record["text"],
        payload=shown,
    )


def _note(record: dict[str, Any]) -> Said:
    return Said(
        at=datetime.fromisoformat(record["at"]),
        door="note",
        kind=record["kind"],
        by=record["by"],
        fate=Fate.APPLIED if record["accepted"] else Fate.REFUSED,
        text=record["text"],
    )

"""The production lane in Markdown, for the Temporal UI."""

from release.lane import LaneStatus, Priority
from release.lane_rules import frozen
from release.text import cell

_LATEST = 15


def markdown(status: LaneStatus) -> str:
    """Who moves production, who waits and why, and what was said."""
    parts = [_head(status), _queue(status), _act(status), _records(status)]
    return "\n\n".join(part for part in parts if part)


def _head(status: LaneStatus) -> str:
    lane = status.lane
    holders = ", ".join(f"{cell(one.what)} ({cell(one.workflow)})" for one in lane.holders)
    freeze = f"**{cell(frozen(lane.freeze), 400)}**" if lane.freeze else "no"
    return (
        f"### Production lane of {lane.service}\n\n| | |\n|---|---|\n"
        f"| moves production | {holders or 'nobody'} |\n"
        f"| frozen | {freeze} |\n"
        f"| waiting | {len(lane.queue)} |"
    )


def _queue(status: LaneStatus) -> str:
    if not status.waiting:
        return ""
    rows = ["| waits | why | since |", "|---|---|---|"]
    for one in status.waiting:
        hotfix = " (hotfix)" if one.claim.priority is Priority.HOTFIX else ""
        since = f"{one.claim.since:%Y-%m-%d %H:%M} UTC"
        rows.append(f"| {cell(one.claim.what)}{hotfix} | {cell(one.text, 400)} | {since} |")
    return "\n".join(rows)


def _act(status: LaneStatus) -> str:
    if status.lane.freeze:
        return (
            '**To lift the freeze**: *Send a Signal* → `unfreeze` with `{"by": "your name", '
            '"reason": "…"}`, or `starter.py lane unfreeze --reason …`.'
        )
    return (
        '**To let nothing in but rollbacks**: *Send a Signal* → `freeze` with `{"by": "your name", '
        '"reason": "…"}`, or `starter.py lane freeze --reason …`.'
    )


def _records(status: LaneStatus) -> str:
    if not status.lane.records:
        return ""
    rows = ["| | by | | |", "|---|---|---|---|"]
    for record in reversed(status.lane.records[-_LATEST:]):
        answer = "" if record.accepted else "refused"
        at, by = f"{record.at:%m-%d %H:%M:%S}", cell(record.by)
        rows.append(f"| {at} {record.kind} | {by} | {answer} | {cell(record.text, 200)} |")
    return "\n".join(rows)

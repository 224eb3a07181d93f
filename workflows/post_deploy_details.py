"""The day after a release in Markdown, for the Temporal UI."""

from release.post_deploy import ItemSeen, PostDeployStatus, WatchOutcome, passed_text
from release.text import cell

_GAP = "\u2003"  # the UI sets its tables without any space between the columns
_MOST_EVIDENCE = 200  # characters of it shown here; the query has all


def markdown(status: PostDeployStatus) -> str:
    """What was seen of the release so far, and what people can do."""
    parts = [_head(status), _told(status), _items(status), _act(status)]
    return "\n\n".join(part for part in parts if part)


def _head(status: PostDeployStatus) -> str:
    if status.outcome is None:
        until = f"watched until {status.until:%Y-%m-%d %H:%M} UTC"
        state = f"{until}, {passed_text(status.items)}; {status.next}"
    else:
        state = f"**{status.outcome.value}**: {cell(status.reason, _MOST_EVIDENCE)}"
    return f"### {status.service} `{status.version}`, the day after\n\n{state}"


def _told(status: PostDeployStatus) -> str:
    return "\n".join(f"- people were told: {cell(line, _MOST_EVIDENCE)}" for line in status.told)


def _items(status: PostDeployStatus) -> str:
    rows = [f"| item | {_GAP}seen | {_GAP}at (UTC) |", "|---|---|---|"]
    window = None
    for item in status.items:
        if item.window is not window:
            rows.append(f"| **{item.window.value}** | | |")
            window = item.window
        rows.append(_row(item))
    return "\n".join(rows)


def _row(item: ItemSeen) -> str:
    text = cell(item.text)
    if item.verdict is None or item.at is None:
        return f"| {text} | {_GAP}not looked at yet | |"
    evidence = cell(item.evidence, _MOST_EVIDENCE)
    return f"| {text} | {_GAP}**{item.verdict.value}**: {evidence} | {_GAP}{item.at:%d. %H:%M} |"


def _act(status: PostDeployStatus) -> str:
    if status.outcome not in (None, WatchOutcome.HARM):
        return ""
    return '**To go back**: `starter.py rollback --reason "…"`.'

"""What can be proved of an audit, and what does not hold."""

from cli.audit_source import Source, Stored
from cli.replay import replay
from release.audit_chain import Export, Kind
from release.audit_events import closing, handed_over
from release.audit_export import unfounded
from release.message import Message

_MOST = 5  # sentences about a broken chain: one early change breaks little, a wrong file much


class Finding(Message):
    """One thing that was looked at."""

    what: str
    holds: bool
    text: str


async def verify(source: Source) -> list[Finding]:
    """Every finding: the export, its record, Temporal's own history, and a replay."""
    findings: list[Finding] = []
    if source.stored is not None:
        findings += _export(source, source.stored)
    elif closing(source.live):
        text = "there is none yet: its record is still being written, or could not be"
        findings.append(Finding(what="export", holds=False, text=text))
    if source.events:
        findings.append(await _replayed(source))
    return findings


def _export(source: Source, stored: Stored) -> list[Finding]:
    if stored.export is None:
        text = f"{stored.key} is gone, and its record says that it was written"
        return [Finding(what="export", holds=False, text=text)]
    export = stored.export
    problems = [*export.problems, *unfounded(export)]
    links = f"{len(export.links)} links, each bound to the one before"
    return [
        _finding("chain", problems, links),
        _finding("record", _against_record(source, stored, export), f"head {export.head}"),
        *([_live(source, export)] if source.live else []),
    ]


def _against_record(source: Source, stored: Stored, export: Export) -> list[str]:
    record, problems = stored.record, []
    said = (export.header.get("workflow"), export.header.get("run"))
    if said != (source.workflow_id, source.run_id):
        problems.append(f"the export is of {said[0]}, run {said[1]}")
    if record is None:
        problems.append("DynamoDB has no head for this run: whoever wrote the file wrote all of it")
    elif record.head != export.head:
        problems.append(f"DynamoDB has the head {record.head}, the export leads to {export.head}")
    elif record.events != len(export.contents(Kind.EVENT)):
        problems.append(f"DynamoDB says {record.events} events")
    return problems


def _live(source: Source, export: Export) -> Finding:
    kept = export.contents(Kind.EVENT)
    problems = []
    if len(kept) != len(source.live):
        problems.append(f"Temporal has {len(source.live)} events, the export {len(kept)}")
    differs = [a.get("eventId") for a, b in zip(source.live, kept, strict=False) if a != b]
    if differs:
        problems.append(f"event {differs[0]} is another in Temporal ({len(differs)} differ)")
    return _finding("Temporal", problems, "has the same events still")


async def _replayed(source: Source) -> Finding:
    """Replay compares the commands; their contents follow from the status, which we compare."""
    status, failure = await replay(source.events, source.workflow_id)
    left = handed_over(source.events)
    if failure:
        text = (
            f"today's workflow does not make the recorded decisions: {failure}. If its code has "
            "changed since, replay with the code of that day"
        )
        return Finding(what="replay", holds=False, text=text)
    if left is not None and left["status"] != status:
        names = [
            name for name, value in left["status"].items() if (status or {}).get(name) != value
        ]
        text = f"the workflow decides otherwise by these messages and answers: {', '.join(names)}"
        return Finding(what="replay", holds=False, text=text)
    said = (status or {}).get("outcome") or f"in {(status or {}).get('stage')}"
    return Finding(what="replay", holds=True, text=f"the same decisions again: {said}")


def _finding(what: str, problems: list[str], good: str) -> Finding:
    more = f"; and {len(problems) - _MOST} more" if len(problems) > _MOST else ""
    text = "; ".join(problems[:_MOST]) + more if problems else good
    return Finding(what=what, holds=not problems, text=text)

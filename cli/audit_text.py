"""An audit in a terminal."""

import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from release.audit import Audit, Fate, Rung, Said, StackChange
from release.checklist import DONE
from release.promotion import Outcome
from release.text import duration, one_line, percent
from release.verdict import Verdict

if TYPE_CHECKING:
    from cli.audit_source import Source
    from cli.audit_verify import Finding

_WIDE = 140
_COLOURS = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
}
_FATES = {Fate.APPLIED: "green", Fate.REFUSED: "yellow", Fate.UNKNOWN: "dim"}


def print_audit(audit: Audit) -> None:
    """The whole story, from who asked to how it ended."""
    _console().print(_render(audit))


def as_text(audit: Audit) -> str:
    """The same, for a file."""
    console = Console(file=io.StringIO(), width=_WIDE, highlight=False)
    console.print(_render(audit))
    assert isinstance(console.file, io.StringIO)  # noqa: S101  ours, from two lines above
    return console.file.getvalue()


def print_findings(source: "Source", findings: "Iterable[Finding]") -> None:
    """What holds, and what does not."""
    findings = list(findings)
    console = _console()
    console.print(Text(f"{source.workflow_id}, run {source.run_id}"))
    table = Table.grid(padding=(0, 2))
    for found in findings:
        mark = Text("holds" if found.holds else "BROKEN", style="green" if found.holds else "red")
        table.add_row(mark, found.what, Text(found.text))
    console.print(table)
    if source.stored is None:
        console.print("it has no export yet: what Temporal has is all there is to verify")
    elif all(found.holds for found in findings):
        console.print(Text("the audit is what was recorded", style="green"))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def _render(audit: Audit) -> RenderableType:
    return Group(
        _head(audit),
        _section("Stages", _stages(audit)),
        _section("Built", _artifacts(audit)),
        _section("Infrastructure", _infrastructure(audit)),
        _section("Checked", _checks(audit)),
        _section("Approvals", _approvals(audit)),
        _section("Traffic", _rungs(audit)),
        _section("Messages", _messages(audit)),
        Text(f"\n{missing(audit)}", style="dim"),
    )


def missing(audit: Audit) -> str:
    """What this audit cannot say, in one sentence or two."""
    text = (
        f"From {audit.events} events of run {audit.run_id}. A message that does not stand in a "
        "history never reached the promotion."
    )
    if not audit.is_decided:
        text += (
            " The promotion's own account of its decisions is not in this history: which signals it"
            " applied, the checklist and the approvals are missing; `--verify` says why."
        )
    return text


def _section(title: str, rows: list[tuple[str | Text, ...]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for row in rows or [(Text("nothing", style="dim"),)]:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return Group(Text(f"\n{title}", style="bold"), table)


def _head(audit: Audit) -> RenderableType:
    good = audit.outcome == Outcome.COMPLETED
    ended = f"{audit.outcome}: {audit.reason}" if audit.outcome else "it goes on"
    colour = "green" if good else "red" if audit.outcome else "cyan"
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(f"{audit.service} {audit.version}", style="bold"), Text(ended, style=colour))
    table.add_row("commit", audit.sha)
    table.add_row(
        "asked for by", Text(f"{audit.requested_by}, {audit.begun:%Y-%m-%d %H:%M:%S} UTC")
    )
    if audit.running_version:
        table.add_row("instead of", Text(audit.running_version))
    if audit.canary:
        table.add_row("Lambda version", f"{audit.baseline} → {audit.canary}")
    table.add_row("took", duration(audit.took))
    for change in audit.changes:
        table.add_row("change", Text(one_line(change)))
    return table


def _stages(audit: Audit) -> list[tuple[str | Text, ...]]:
    return [
        (f"{span.begun:%H:%M:%S}", span.stage, duration((span.ended or audit.until) - span.begun))
        for span in audit.stages
    ]


def _artifacts(audit: Audit) -> list[tuple[str | Text, ...]]:
    return [(a.function, f"sha256 {a.sha256}", f"{a.size_bytes} bytes") for a in audit.artifacts]


def _infrastructure(audit: Audit) -> list[tuple[str | Text, ...]]:
    return [
        (one.stack, outcome_of(one), one_line(text))
        for one in audit.infrastructure
        for text in one.changes
    ]


def outcome_of(change: StackChange) -> str:
    """Whether the stack was changed, in words."""
    if change.failure:
        return f"not changed: {one_line(change.failure)}"
    return f"changed {change.ended:%H:%M:%S}" if change.ended else "not changed"


def _checks(audit: Audit) -> list[tuple[str | Text, ...]]:
    rows: list[tuple[str | Text, ...]] = []
    for one in audit.checks:
        mark = Text(one.result.verdict.value, style=_COLOURS[one.result.verdict])
        rows.append((f"{one.at:%H:%M:%S}", one.place, mark, one.result.text, one.result.evidence))
    if audit.items:
        done = sum(item.answer in DONE for item in audit.items)
        text = f"{done} of {len(audit.items)} items done"
        rows.append(("", "checklist", text, "", ""))
    rows += [
        ("", item.id, item.answer.value, item.text, item.needs or item.evidence)
        for item in audit.items
        if item.answer not in DONE
    ]
    return rows


def _approvals(audit: Audit) -> list[tuple[str | Text, ...]]:
    return [
        (f"{vote.at:%H:%M:%S}", vote.approver, vote.proof.value, one_line(vote.comment), vote.link)
        for vote in audit.votes
    ]


def _rungs(audit: Audit) -> list[tuple[str | Text, ...]]:
    if not audit.rungs:
        return []
    head = ("", "weight", "new: failed/all", "old: failed/all", "evidence", "time", "verdict")
    rows: list[tuple[str | Text, ...]] = [tuple(Text(name, style="dim") for name in head)]
    rows += [_rung(rung) for rung in audit.rungs]
    if audit.shares and audit.shares[-1].weight == 0:
        rows.append((f"{audit.shares[-1].at:%H:%M:%S}", "0 %", "", "", "", "", "rolled back"))
    return rows


def _rung(rung: Rung) -> tuple[str | Text, ...]:
    weight = f"{percent(rung.weight)}{' held' if rung.is_pause else ''}"
    time = duration(rung.ended - rung.begun) if rung.ended else "…"
    judged = rung.judgement
    if judged is None:
        seen = rung.failure or ("stopped" if rung.ended else "watched")
        return (f"{rung.begun:%H:%M:%S}", weight, "", "", "", time, seen)
    new, old = judged.canary, judged.baseline
    verdict = Text(judged.verdict.value, style=_COLOURS[judged.verdict])
    verdict.append(f": {judged.reason}", style="default")
    return (
        f"{rung.begun:%H:%M:%S}",
        weight,
        f"{new.failures}/{new.requests}",
        f"{old.failures}/{old.requests}",
        f"{judged.evidence:.3g}",
        time,
        verdict,
    )


def _messages(audit: Audit) -> list[tuple[str | Text, ...]]:
    return [_message(said) for said in audit.said]


def _message(said: Said) -> tuple[str | Text, ...]:
    fate = Text(said.fate.value, style=_FATES[said.fate])
    return (f"{said.at:%H:%M:%S}", said.door, said.kind, said.by, fate, one_line(said.text, 300))

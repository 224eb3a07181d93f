"""A promotion in a terminal: printed once, or followed live until it ends."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from cli import promotions
from cli.errors import NOT_COMPLETED, OK, Unreachable
from release.change_set import InfrastructureStatus
from release.checklist import DONE, Answer, ItemState
from release.infrastructure import diff_lines
from release.promotion import Outcome, PromotionStatus, Stage, StepRecord
from release.text import percent
from release.verdict import Verdict

_COLOURS = {Verdict.PASSED: "green", Verdict.FAILED: "red", Verdict.INCONCLUSIVE: "yellow"}
_ANSWER_COLOURS = {
    Answer.PASSED: "green",
    Answer.FAILED: "red",
    Answer.INCONCLUSIVE: "yellow",
    Answer.NOT_APPLICABLE: "dim",
    Answer.WAIVED: "yellow",
    Answer.WAITING: "cyan",
}
_POLL_SECONDS = 1.0


def print_status(status: PromotionStatus, counts: dict[str, Any] | None = None) -> None:
    """The whole promotion, once."""
    Console().print(render(status, counts or {}))


async def watch(client: Client, identity: str) -> int:
    """Follows the promotion until it has ended; the exit code that its outcome deserves."""
    console = Console()
    last: PromotionStatus | None = None
    with Live(console=console, refresh_per_second=4, transient=console.is_terminal) as view:
        while True:
            try:
                last = await promotions.status(client, identity)
                counts = await promotions.live_counts(client, identity)
            except Exception as error:
                if last is None:
                    raise
                counts = {"note": f"no answer from the worker, trying again ({error})"}
            if console.is_terminal:
                view.update(render(last, counts))
            if last.outcome is not None:
                break
            await asyncio.sleep(_POLL_SECONDS)
    console.print(render(last, {}))
    return exit_code(last)


def exit_code(status: PromotionStatus) -> int:
    """0 only for a completed promotion."""
    return OK if status.outcome is Outcome.COMPLETED else NOT_COMPLETED


def render(status: PromotionStatus, counts: dict[str, Any]) -> RenderableType:
    """The promotion as a person reads it."""
    parts: list[RenderableType] = [_head(status)]
    if status.items or status.tests:
        parts.append(_gates(status))
    if status.infrastructure:
        parts.append(_infrastructure(status.infrastructure))
    if status.report:
        parts.append(Markdown(status.report))
    if status.steps:
        parts.append(_steps(status, counts))
    refused = [record for record in status.inbox if not record.accepted]
    parts += [Text(f"refused {r.kind} by {r.by}: {r.text}", style="yellow") for r in refused]
    if "note" in counts:
        parts.append(Text(counts["note"], style="yellow"))
    return Group(*parts)


def _head(status: PromotionStatus) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    colour = "green" if status.outcome is Outcome.COMPLETED else "red"
    state = (
        Text(f"{status.outcome.value}: {status.reason}", style=colour)
        if status.outcome
        else Text(f"{status.stage.value} for {_ago(status.stage_since)}", style="cyan")
    )
    table.add_row(Text(f"{status.service} {status.version}"), state)
    # as Text: what people write is no markup of ours
    table.add_row("commit", Text(f"{status.sha[:12]}, requested by {status.requested_by}"))
    table.add_row(
        "production", f"{_bar(status.weight)} {percent(status.weight)} on the new version"
    )
    if status.next and status.outcome is None:
        table.add_row("next", Text(status.next))
    if status.deadline and status.outcome is None:
        table.add_row("if nobody acts", f"expires {status.deadline:%Y-%m-%d %H:%M} UTC")
    return table


def _infrastructure(known: InfrastructureStatus) -> RenderableType:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for plan in (known.staging, known.prod):
        if plan is not None and plan.changes:
            done = "changed" if plan.stack in known.executed else "to change"
            for line in diff_lines(plan):
                table.add_row(Text(f"{plan.stack} {done}", style="dim"), Text(line))
    for objection in known.objections:
        table.add_row(Text("refused unless waived", style="red"), Text(objection))
    for waiver in known.waivers:
        table.add_row(Text("waived", style="yellow"), Text(f"{waiver.by}: {waiver.reason}"))
    return table


def _gates(status: PromotionStatus) -> RenderableType:
    """What people look at first: what is not done, and how much is; `checklist` shows all."""
    table = Table(box=None, padding=(0, 2), show_header=False)
    for test in status.tests:
        if test.verdict is not Verdict.PASSED:
            evidence = Text(test.evidence)
            table.add_row(Text(test.verdict.value, style="red"), Text(test.text), evidence)
    for item in status.items:
        if item.answer not in DONE and not _is_approval(item):
            table.add_row(*_item(item))
    if status.stage is Stage.APPROVAL:
        for role in status.quorum:
            so_far = ", ".join(role.approved_by) or f"any of {', '.join(role.people)}"
            count = f"{len(role.approved_by)} of {role.needed}"
            style = "green" if role.is_filled else "cyan"
            table.add_row(
                Text(count, style=style), f"{role.role.replace('_', ' ')} approval", so_far
            )
    done = sum(item.answer in DONE for item in status.items)
    passed = sum(test.verdict is Verdict.PASSED for test in status.tests)
    counts = [f"{passed} of {len(status.tests)} integration tests passed"]
    if status.items:
        counts.append(f"{done} of {len(status.items)} checklist items done")
    return Group(Text(", ".join(counts), style="dim"), table)


def print_checklist(status: PromotionStatus) -> None:
    """Both checklists, every item with its evidence."""
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    if not status.items:
        console.print(f"the checklist has not begun; the promotion is in: {status.stage.value}")
        return
    table = Table(box=None, padding=(0, 2), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    heading = ""
    for item in status.items:
        if f"{item.part.value}: {item.group}" != heading:
            heading = f"{item.part.value}: {item.group}"
            table.add_row("", Text(f"\n{heading}", style="bold"), "")
        table.add_row(*_item(item))
    console.print(table)
    done = sum(item.answer in DONE for item in status.items)
    console.print(f"\n{done} of {len(status.items)} done")


def _item(item: ItemState) -> tuple[Text, str, Text]:
    known = item.needs if item.answer is Answer.WAITING else item.evidence
    mark = Text(item.answer.value, style=_ANSWER_COLOURS[item.answer])
    return mark, item.id, Text(f"{item.text}\n{known}" if known else item.text)


def _is_approval(item: ItemState) -> bool:
    return item.needs.startswith("approval by")


def _steps(status: PromotionStatus, counts: dict[str, Any]) -> RenderableType:
    table = Table(box=None, padding=(0, 2))
    for name in ("weight", "new: failed/all", "old: failed/all", "evidence", "time", "verdict"):
        table.add_column(name, justify="right" if name != "verdict" else "left")
    for step in status.steps:
        table.add_row(*_step(step, counts))
    return table


def _step(step: StepRecord, counts: dict[str, Any]) -> list[str | Text]:
    judgement = step.judgement
    if judgement is None:
        new, old = (_counted(counts.get(name)) for name in ("canary", "baseline"))
        evidence = f"{counts['evidence']:g}" if "evidence" in counts else "…"
        seen = "stopped by a message" if step.ended_at else "watching"
        return [percent(step.weight), new, old, evidence, _ago(step.started_at), seen]
    assert step.ended_at is not None  # noqa: S101  a judged step has ended
    seconds = (step.ended_at - step.started_at).total_seconds()
    return [
        percent(step.weight),
        f"{judgement.canary.failures}/{judgement.canary.requests}",
        f"{judgement.baseline.failures}/{judgement.baseline.requests}",
        f"{judgement.evidence:.3g}",
        f"{seconds:.0f} s",
        Text(
            f"{judgement.verdict.value}: {judgement.reason}"
            if judgement.verdict is not Verdict.PASSED or judgement.step_back
            else judgement.verdict.value,
            style=_COLOURS[judgement.verdict],
        ),
    ]


def _counted(counts: Any) -> str:
    return f"{counts['failures']}/{counts['requests']}" if isinstance(counts, dict) else "…"


def _bar(weight: float) -> str:
    filled = round(weight * 20)
    return "█" * filled + "░" * (20 - filled)


def _ago(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def no_laptop() -> Unreachable:
    """Nothing is up here."""
    return Unreachable("nothing is up here; start the laptop cloud with `starter.py up`")

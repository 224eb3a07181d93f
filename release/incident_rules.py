"""What an incident's facts say: whether users are safe, how many were hurt, what happened when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from release.incident import Facts, Packet
from release.promotion import AliasState, Counts, InboxRecord, StepRecord
from release.text import cell, code, name, one_line, percent
from release.verdict import Verdict

_ROUTINE = {"sign_off", "waive", "withdraw"}
_FIRST, _LAST = 10, 50  # lines of a timeline: a release can go up and down for hours


class Safety(StrEnum):
    """Whether users meet the bad version."""

    SAFE = "yes"
    AT_RISK = "no"
    OTHERS = "somebody else has moved production"
    UNKNOWN = "not known"


def safety(packet: Packet) -> Safety:
    """As the aliases were read after the way back: each must serve what ran before, alone."""
    facts, aliases = packet.facts, packet.found.aliases
    if aliases is None:
        return Safety.UNKNOWN
    bad = {name: v for name, v in facts.bad.items() if v != facts.expected.get(name)}
    if any(alias.share_of(bad.get(alias.function, "")) > 0 for alias in aliases):
        return Safety.AT_RISK
    served = {alias.function: alias.version for alias in aliases if alias.canary is None}
    return Safety.SAFE if served == facts.expected else Safety.OTHERS


def decisive(steps: Sequence[StepRecord]) -> StepRecord | None:
    """The rung that ended it: the one not judged good, else the last."""
    bad = [s for s in steps if s.judgement and s.judgement.verdict is not Verdict.PASSED]
    return bad[-1] if bad else (steps[-1] if steps else None)


def counted(steps: Sequence[StepRecord]) -> tuple[Counts, Counts]:
    """What the new and the old version answered in all judged rungs."""
    judged = [step.judgement for step in steps if step.judgement]
    return _sum([one.canary for one in judged]), _sum([one.baseline for one in judged])


def failed_beyond_baseline(steps: Sequence[StepRecord]) -> float:
    """Estimated requests that failed and would not have on the old version.

    Rung by rung: what failed on the new version beyond the old one's rate at that time; at 100 %,
    where the old one answers nothing, beyond its rate in all rungs.
    """
    overall = counted(steps)[1].error_rate
    extra = 0.0
    for step in steps:
        if step.judgement is not None:
            new, old = step.judgement.canary, step.judgement.baseline
            rate = old.error_rate if old.requests else overall
            extra += max(0.0, new.failures - new.requests * rate)
    return extra


def timeline(packet: Packet) -> list[tuple[datetime, str]]:
    """Messages, rungs, alarms, the way back: oldest first, each for a cell of a table.

    Sign-offs and waivers are left out; of a long release so are lines in the middle.
    """
    facts = packet.facts
    lines = [(step.started_at, _rung(step)) for step in facts.steps]
    lines += [(m.at, _message(m)) for m in facts.messages if m.kind not in _ROUTINE]
    for alarm in packet.found.alarms or ():
        lines += [(c.at, f"{cell(alarm.name)}: {cell(c.text)}") for c in alarm.changes]
    if facts.staged_at is not None:
        lines.append((facts.staged_at, "staging runs the commit"))
    lines.append((facts.went_back_at, f"the way back begins: {cell(facts.reason, 300)}"))
    lines.append((facts.ended_at, f"the way back is through: **{facts.outcome}**"))
    lines.sort(key=lambda line: line[0])
    if len(lines) > _FIRST + _LAST:
        middle = lines[_FIRST:-_LAST]
        lines[_FIRST:-_LAST] = [(middle[0][0], f"… {len(middle)} lines are left out here")]
    return lines


def stamp(at: datetime) -> str:
    """The time of day in UTC, which the evidence is told in."""
    return f"{at.astimezone(UTC):%H:%M:%S}"


def _rung(step: StepRecord) -> str:
    found = step.judgement
    judged = f"{found.verdict.value}, {cell(found.reason, 200)}" if found else "not judged"
    return f"{percent(step.weight)} on the new version: {judged}"


def _message(message: InboxRecord) -> str:
    taken = "" if message.accepted else " (refused)"
    return f"{cell(message.kind)} by {name(message.by)}{taken}: {cell(message.text, 200)}"


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(
        requests=sum(one.requests for one in counts), failures=sum(one.failures for one in counts)
    )


def title(facts: Facts) -> str:
    """The packet in one line."""
    how = "" if facts.outcome == "rolled back" else f" ({facts.outcome})"
    return one_line(f"{facts.service} {facts.version} went back{how}")


def serves(alias: AliasState) -> str:
    """The alias in words."""
    split = f" with {percent(alias.weight)} on {alias.canary}" if alias.canary else ""
    return f"{code(alias.function)} version {alias.version}{split}"


def rate(counts: Counts) -> str:
    """Counts in words."""
    if not counts.requests:
        return "no requests"
    return f"{counts.failures:,} of {counts.requests:,} failed ({percent(counts.error_rate)})"

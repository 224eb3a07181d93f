"""The incident packet in Markdown: its first screen, the evidence, and a review to fill in."""

from datetime import UTC, timedelta

from release.incident import AlarmSeen, Facts, Packet
from release.incident_head import head
from release.incident_rules import decisive, rate, serves, stamp, timeline
from release.text import NOTHING, cell, code, duration, name, percent

_MOST_PERIODS = 30


def markdown(packet: Packet) -> str:
    """The whole packet."""
    facts = packet.facts
    parts = [
        f"# {facts.service} {name(facts.version)}: {facts.outcome}",
        f"{facts.ended_at.astimezone(UTC):%Y-%m-%d}; all times are UTC.",
        head(packet),
        _fired(facts),
        _periods(packet),
        _alarms(packet),
        _logs(packet),
        _content(facts),
        _production(packet),
        _unread(packet),
        _review(packet),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _fired(facts: Facts) -> str:
    rung = decisive(facts.steps)
    lines = ["## What fired", "", f"{code(facts.reason, 1000)}"]
    if rung is None:
        return "\n".join(lines)
    lines += ["", f"- weight: {percent(rung.weight)}, since {stamp(rung.started_at)}"]
    found = rung.judgement
    if found is None:
        return "\n".join([*lines, "- it was ended before this rung was judged"])
    lines += [
        f"- verdict: **{found.verdict.value}**; evidence {found.evidence:g} that the new version "
        "is worse (100 is enough)",
        f"- in this rung: new version {rate(found.canary)}, old version {rate(found.baseline)}",
    ]
    return "\n".join(lines)


def _periods(packet: Packet) -> str:
    facts, periods = packet.facts, packet.found.periods
    if periods is None:
        return ""
    lines = [f"## Both versions, every {duration(timedelta(seconds=facts.period_seconds))}", ""]
    if not periods:
        return "\n".join([*lines, "CloudWatch has no datapoints of either version in this time."])
    lines += ["| from | new version | old version |", "|---|---|---|"]
    lines += [
        f"| {stamp(period.at)} | {rate(period.new)} | {rate(period.old)} |"
        for period in periods[-_MOST_PERIODS:]
    ]
    if len(periods) > _MOST_PERIODS:
        lines += ["", f"The newest {_MOST_PERIODS} of {len(periods)}; the JSON has all."]
    return "\n".join(lines)


def _alarms(packet: Packet) -> str:
    if packet.found.alarms is None:
        return ""
    return "\n".join(["## Alarms", "", *(_alarm(alarm) for alarm in packet.found.alarms)])


def _alarm(alarm: AlarmSeen) -> str:
    now = alarm.state or "removed, as after every release"
    lines = [f"- {code(alarm.name)} ({code(alarm.text)}): **{now}**"]
    lines += [f"  - {stamp(change.at)} {code(change.text, 300)}" for change in alarm.changes]
    if alarm.was_red and alarm.points:
        seen = ", ".join(f"{stamp(point.at)} {point.value:.4g}" for point in alarm.points)
        lines.append(f"  - threshold {alarm.threshold:g}; datapoints: {seen}")
    return "\n".join(lines)


def _logs(packet: Packet) -> str:
    if packet.found.logs is None:
        return ""
    lines = [
        f"- {stamp(sample.at)} {code(sample.function)} {sample.times}x: {code(sample.text, 300)}"
        for sample in packet.found.logs
    ]
    none = "No line of it tells of an error."
    return "\n".join(["## From the bad version's log", "", *(lines or [none])])


def _content(facts: Facts) -> str:
    lines = [f"- {code(change)}" for change in facts.changes] or ["- the commits are not recorded"]
    authors = ", ".join(name(author) for author in facts.authors) or NOTHING
    asked = f"Authors: {authors}. Requested by {name(facts.requested_by)}."
    page = f"\n\n[The promotion in Temporal]({facts.address})" if facts.address else ""
    return "\n".join(["## What is in it", "", *lines, "", asked + page])


def _production(packet: Packet) -> str:
    aliases, quarantined = packet.found.aliases, packet.found.quarantined
    lines = ["## Production now", ""]
    if aliases is not None:
        lines += ["| function | serves | has to serve |", "|---|---|---|"]
        expected = packet.facts.expected
        lines += [
            f"| {cell(alias.function)} | {serves(alias).partition(' ')[2]} "
            f"| version {expected.get(alias.function, '?')} |"
            for alias in aliases
        ]
        lines.append("")
    if packet.facts.infrastructure:
        lines += [f"Not put back: {code(packet.facts.infrastructure, 300)}.", ""]
    said = {True: "is quarantined", False: "is not quarantined", None: "may be quarantined"}
    return "\n".join([*lines, f"The commit `{packet.facts.sha}` {said[quarantined]}."])


def _unread(packet: Packet) -> str:
    if not packet.found.unread:
        return ""
    lines = [f"- {source}: {code(why, 300)}" for source, why in packet.found.unread.items()]
    return "\n".join(["## Could not be read", "", *lines])


def _review(packet: Packet) -> str:
    """The flow's "Post-Rollback Actions" and "Post-Incident Review", with what is known."""
    facts = packet.facts
    lines = "\n".join(
        f"| {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} | {text} |" for at, text in timeline(packet)
    )
    return f"""## After the rollback

- [ ] Root cause investigated
- [x] Incident report generated: this packet
- [ ] Fixed in development
- [ ] Tested again in staging
- [ ] New production deployment scheduled

## Post-incident review

**Post-mortem meeting:** when, and who comes: _to fill in_

**Timeline**

| UTC | what |
|---|---|
{lines}

**Root cause:** _to fill in_

**Action items**

| what | who | until |
|---|---|---|
| _to fill in_ | | |

**Procedures to update:** _to fill in_

**Learnings, and with whom they were shared:** _to fill in_

{code(facts.promotion)}, run …{facts.run}"""

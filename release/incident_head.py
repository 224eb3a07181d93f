"""The first screen of an incident packet: what happened, are users safe now, what to do next."""

from datetime import UTC

from release.incident import Facts, Packet
from release.incident_rules import (
    Safety,
    counted,
    decisive,
    failed_beyond_baseline,
    rate,
    safety,
    serves,
    stamp,
)
from release.quarantine import TRAILER
from release.text import code, duration, name, percent
from release.verdict import Verdict


def head(packet: Packet) -> str:
    """The first screen."""
    facts = packet.facts
    unread = ", ".join(packet.found.unread)
    return "\n".join(
        [
            f"**What happened.** {_happened(facts)}",
            "",
            f"**Are users safe now?** {_safe(packet)}",
            "",
            f"**What it did to them.** {_hurt(facts)}",
            *(["", f"**Could not be read:** {unread}; the packet says why."] if unread else []),
            "",
            "**What to do now**",
            "",
            *(f"{n}. {action}" for n, action in enumerate(actions(packet), start=1)),
        ]
    )


def actions(packet: Packet) -> list[str]:
    """What a person does next, in order, with the commands."""
    facts, state = packet.facts, safety(packet)
    target = facts.expected[facts.api]
    by_hand = (
        f'`starter.py rollback --to {target} --reason "…"`; with Temporal down add `--break-glass`'
    )
    if state is Safety.AT_RISK:
        return [f"**At once:** {by_hand}.", *_mend(packet)]
    if state is Safety.OTHERS:
        who = "Find out who moved it and why, before you move it."
        return [f"{who} To put the old version back: {by_hand}.", *_mend(packet)]
    if state is Safety.UNKNOWN:
        look = f"aws lambda get-alias --function-name {facts.api} --name {facts.alias}"
        text = f"**Look at once:** `{look}` has to say version {target} and no weights. If not:"
        return [f"{text} {by_hand}.", *_mend(packet)]
    return [_not_urgent(packet), *_mend(packet)]


def _not_urgent(packet: Packet) -> str:
    """Unless production is ill without the release: then the release was not what hurt users."""
    rung = decisive(packet.facts.steps)
    if red := _red(packet):
        return (
            f"**In three minutes** look at {red} again: if it is still red then, the old version "
            "fails as well, and there is an outage that this release did not make."
        )
    if rung and rung.judgement and rung.judgement.verdict is Verdict.INCONCLUSIVE:
        return "Look at production itself: why the release could not be judged may hurt it too."
    return "Nothing is urgent: nobody has to act before the morning."


def _red(packet: Packet) -> str:
    return ", ".join(code(a.name) for a in packet.found.alarms or () if a.state == "ALARM")


def _mend(packet: Packet) -> list[str]:
    facts, short = packet.facts, packet.facts.sha[:12]
    day = f"{facts.since.astimezone(UTC):%Y/%m/%d}"
    stream = f"{day}/[{facts.bad.get(facts.api, '?')}]"
    logs = f"aws logs tail /aws/lambda/{facts.api} --since 12h --log-stream-name-prefix '{stream}'"
    found = [f"See what broke: the packet's evidence, and `{logs}`."]
    if packet.found.quarantined or (packet.found.quarantined is None and facts.quarantines):
        fix = f"Fix it on main, by a commit whose message ends with `{TRAILER}: {short}`; then"
        anyway = (
            f'If the release was not at fault: `starter.py quarantine release {short} --reason "…"`'
        )
        return [*found, f"{fix} `starter.py promote main`.", f"{anyway}, and promote it again."]
    kept = "It is **not quarantined**: " if facts.quarantines else "It is not quarantined, so "
    return [*found, f"{kept}`starter.py promote {short}` takes it to production again, as it is."]


def _happened(facts: Facts) -> str:
    rung = decisive(facts.steps)
    at = f", with {percent(rung.weight)} of production's traffic on it" if rung else ""
    return (
        f"At {stamp(facts.went_back_at)} UTC{at}, {facts.service} {name(facts.version)} "
        f"(`{facts.sha[:12]}`) was {facts.outcome}: {code(facts.reason, 500)}"
    )


def _safe(packet: Packet) -> str:
    state, aliases = safety(packet), packet.found.aliases or ()
    served = "; ".join(serves(alias) for alias in aliases)
    if state is Safety.SAFE:
        red = _red(packet)
        but = f" But still red: {red}." if red else ""
        return f"**Yes.** The old version serves all traffic: {served}.{but}"
    if state is Safety.AT_RISK:
        return f"**NO. Users still meet the bad version:** {served}."
    if state is Safety.OTHERS:
        return f"**Not from this release, but somebody else has moved production:** {served}."
    why = code(packet.found.unread.get("aliases", ""))
    return f"**NOT KNOWN.** Everything was sent back, but production could not be read: {why}."


def _hurt(facts: Facts) -> str:
    if not facts.steps:
        return "Not counted: it went back after its shift; the packet has the last minutes."
    new, _ = counted(facts.steps)
    span = duration(facts.went_back_at - facts.since) or "0 s"
    extra = failed_beyond_baseline(facts.steps)
    text = (
        f"About **{extra:,.0f}** requests failed that would not have on the old version: "
        f"{rate(new)} on the new one, in {span}."
    )
    if any(step.judgement is None for step in facts.steps):
        text += " A rung that was cut short is not in it; the packet has it by the minute."
    return text

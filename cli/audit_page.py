"""An audit as one page of HTML that asks nobody for anything: no script, no request."""

import json
from datetime import datetime

from cli import audit_charts as charts
from cli.audit_style import STYLE
from cli.audit_text import missing, outcome_of
from cli.markup import Html, joined, link, quoted, table, tag
from release.audit import Audit, Fate, Rung, Said
from release.checklist import DONE, Answer, ItemState
from release.evidence import SHORT
from release.promotion import Counts, Outcome
from release.text import duration, percent
from release.verdict import Verdict
from release.votes import Proof, Vote

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_COLOURS = {"passed": "good", "failed": "bad", "inconclusive": "warn", "waived": "warn"}
_FATES = {Fate.APPLIED: "good", Fate.REFUSED: "warn", Fate.UNKNOWN: ""}


def page(audit: Audit) -> str:
    """The whole file."""
    title = f"{audit.service} {audit.version}: audit"
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "main",
        _header(audit),
        _section("Stages", charts.stages(audit)),
        _section("Traffic in production", charts.traffic(audit)),
        _judgements(audit),
        _section("Approvals", _approvals(audit)),
        _section("Checklist", _checklist(audit), long=True),
        _section("Messages", _messages(audit), long=True),
        _section("Behind it", _behind(audit), long=True),
        tag("footer", tag("p", missing(audit))),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _section(title: str, *content: Html, long: bool = False) -> Html:
    return tag("section", tag("h2", title), *content, class_="long" if long else None)


def _header(audit: Audit) -> Html:
    good = audit.outcome == Outcome.COMPLETED
    badge = _badge(audit.outcome or "running", "good" if good else "bad" if audit.outcome else "")
    facts = {
        "commit": tag("code", audit.sha),
        "asked for by": quoted(audit.requested_by),
        "begun": _time(audit.begun),
        "took": duration(audit.took),
        "instead of": quoted(audit.running_version or "unknown"),
        "Lambda version": f"{audit.baseline} → {audit.canary}" if audit.canary else "not published",
    }
    listed = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    changes = [tag("li", quoted(change)) for change in audit.changes]
    return tag(
        "header",
        tag("h1", quoted(f"{audit.service} {audit.version}"), badge),
        tag("p", quoted(audit.reason or "It goes on."), class_="reason"),
        tag("dl", *listed),
        *([tag("h3", "Changes"), tag("ul", *changes)] if changes else []),
    )


def _judgements(audit: Audit) -> Html:
    if not audit.rungs:
        return joined()
    slow = ""
    if audit.slow_ms is not None:
        p90, p99 = audit.slow_ms
        slow = f" A request counts as slow beyond the old version's own {p90:.0f} ms (p90) and "
        slow += f"{p99:.0f} ms (p99) of the day before."
    note = (
        "Evidence that the new version is worse, from failed, crashed and slow requests together."
        f"{slow}"
    )
    return _section(
        "What was seen at each weight",
        tag("p", note, class_="soft"),
        tag("h3", "Evidence, log scale"),
        charts.evidence(audit),
        tag("h3", "Failed requests"),
        charts.errors(audit),
        *([tag("h3", "Slow requests"), found] if (found := charts.slow(audit)) else []),
        tag("h3", "Figures"),
        table(
            ("weight", "from", "for", "new version", "old version", "evidence", "verdict"),
            [_rung(rung) for rung in audit.rungs],
        ),
        long=True,
    )


def _rung(rung: Rung) -> tuple[str | Html, ...]:
    time = duration(rung.ended - rung.begun) if rung.ended else "watched now"
    begin = (f"{percent(rung.weight)}{' held' if rung.is_pause else ''}", f"{rung.begun:%H:%M:%S}")
    judged = rung.judgement
    if judged is None:
        seen = quoted(rung.failure or ("ended by a message" if rung.ended else ""))
        return (*begin, time, "", "", "", seen)
    verdict = joined(_verdict(judged.verdict), " ", quoted(judged.reason))
    counts = _counts(judged.canary), _counts(judged.baseline)
    return (*begin, time, *counts, f"{judged.evidence:.3g}", verdict)


def _counts(counts: Counts) -> str:
    return f"{counts.failures} of {counts.requests} failed"


def _approvals(audit: Audit) -> Html:
    if not audit.votes:
        return tag("p", "Nobody's approval stood at the end.", class_="none")
    digest = audit.digest[:SHORT]
    people = [_person(vote, audit) for vote in audit.votes]
    bound = [tag("p", "All for the evidence ", tag("code", digest), ".")] if digest else []
    return joined(tag("div", *people, class_="people"), *bound)


def _person(vote: Vote, audit: Audit) -> Html:
    roles = [
        role.role.replace("_", " ") for role in audit.quorum if vote.approver in role.approved_by
    ]
    proof = _badge(vote.proof.value, "warn" if vote.proof is Proof.CLAIM else "good")
    said = [tag("p", "“", quoted(vote.comment), "”")] if vote.comment else []
    where = [tag("p", link(vote.link, "the review"))] if vote.link else []
    return tag(
        "div",
        tag("b", quoted(vote.approver)),
        tag("p", ", ".join(roles) or "no role that was asked"),
        tag("p", proof),
        *said,
        *where,
        tag("p", _time(vote.at), class_="soft"),
        class_="person",
    )


def _checklist(audit: Audit) -> Html:
    tested = [check for check in audit.checks if check.place not in ("staging", "the commit")]
    rows = [
        (_verdict(check.result.verdict), quoted(check.result.text), quoted(check.result.evidence))
        for check in tested
    ]
    head = ("answer", "what", "evidence")
    done = sum(item.answer in DONE for item in audit.items)
    count = f"{done} of {len(audit.items)} items done." if audit.items else "No answers are known."
    return joined(
        tag("p", count),
        *_groups(audit.items),
        tag("h3", "Integration tests, preflight and smoke"),
        table(head, rows, "answers") if rows else tag("p", "None were run.", class_="none"),
    )


def _groups(items: tuple[ItemState, ...]) -> list[Html]:
    names = dict.fromkeys((item.part.value, item.group) for item in items)
    return [
        joined(
            tag("h3", f"{part}: {group}"),
            table(
                ("answer", "what", "evidence"),
                [_item(item) for item in items if (item.part.value, item.group) == (part, group)],
                "answers",
            ),
        )
        for part, group in names
    ]


def _item(item: ItemState) -> tuple[Html, Html, Html]:
    known = item.needs if item.answer is Answer.WAITING else item.evidence
    badge = _badge(item.answer.value, _COLOURS.get(item.answer.value, ""))
    return badge, quoted(item.text), quoted(known)


def _messages(audit: Audit) -> Html:
    if not audit.said:
        return tag("p", "Nobody sent any.", class_="none")
    rows = [_message(said) for said in audit.said]
    return table(("time", "message", "by", "was", "said"), rows)


def _message(said: Said) -> tuple[str | Html, ...]:
    kind = joined(said.kind, " ", tag("span", said.door, class_="soft"))
    fate = _badge(said.fate.value, _FATES[said.fate])
    return _time(said.at), kind, quoted(said.by), fate, quoted(said.text)


def _behind(audit: Audit) -> Html:
    artifacts = [
        (a.function, tag("code", a.sha256), f"{a.size_bytes:,} B") for a in audit.artifacts
    ]
    stacks = [
        (one.stack, outcome_of(one), quoted(text))
        for one in audit.infrastructure
        for text in one.changes
    ]
    deeds = [
        (
            f"{deed.begun:%H:%M:%S}",
            quoted(deed.summary or deed.name),
            duration(deed.ended - deed.begun) if deed.ended else "",
            str(deed.attempts),
            quoted(deed.failure),
        )
        for deed in audit.deeds
    ]
    policy = json.dumps(audit.policy, indent=1, ensure_ascii=False)
    return joined(
        tag("h3", "Artifacts"),
        table(("function", "SHA-256 of the zip", "size"), artifacts)
        if artifacts
        else tag("p", "Nothing was built.", class_="none"),
        tag("h3", "Infrastructure"),
        table(("stack", "was", "change"), stacks)
        if stacks
        else tag("p", "No stack was to change.", class_="none"),
        tag(
            "details",
            tag("summary", f"All that was done: {len(deeds)} steps"),
            table(("from", "what", "for", "tries", "failure"), list(deeds)),
        ),
        tag("details", tag("summary", "The policy it was decided by"), tag("pre", policy)),
    )


def _badge(text: str, colour: str = "") -> Html:
    return tag("span", text, class_=f"badge {colour}".strip())


def _verdict(verdict: Verdict) -> Html:
    return _badge(verdict.value, _COLOURS.get(verdict.value, ""))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

"""A promotion in Markdown, for the Temporal UI: what is known, who can act, what comes next."""

from release.decisions import who_may
from release.promotion import (
    PromotionRequest,
    PromotionStatus,
    Stage,
    StepRecord,
)

_GAP = "&emsp;"  # the UI sets its tables without any space between the columns


def summary(request: PromotionRequest) -> str:
    """One line for the list of workflows."""
    return f"{request.policy.service} {request.version} to production, by {request.requested_by}"


def markdown(status: PromotionStatus, request: PromotionRequest) -> str:
    """The whole state of a promotion as people read it."""
    parts = [_head(status), _act(status, request), _ladder(status), _checks(status), _inbox(status)]
    return "\n\n".join(part for part in parts if part)


def _head(status: PromotionStatus) -> str:
    ending = f" — **{status.outcome.value}**: {status.reason}" if status.outcome else ""
    lines = [
        f"### {status.service} `{status.version}`: {status.stage.value}{ending}",
        "",
        "| | |",
        "|---|---|",
        f"| commit | `{status.sha}` |",
        f"| requested by | {status.requested_by} |",
        f"| production traffic on the new version | {status.weight:.0%} |",
    ]
    if status.baseline_version:
        versions = f"{status.baseline_version} → {status.canary_version or '?'}"
        lines.append(f"| Lambda version, old → new | {versions} |")
    if status.next and not status.outcome:
        lines.append(f"| next | {status.next} |")
    if status.deadline and not status.outcome:
        lines.append(
            f"| if nobody acts | ends as *expired* at {status.deadline:%Y-%m-%d %H:%M} UTC |"
        )
    return "\n".join(lines)


def _act(status: PromotionStatus, request: PromotionRequest) -> str:
    if status.outcome is not None:
        return ""
    lines = []
    if status.stage is Stage.APPROVAL:
        lines.append(
            f"**To decide**: {who_may(request)}. *Send a Signal* → `approve` or `reject` with "
            '`{"approver": "your name", "comment": "…"}`, or '
            f"`starter.py approve {status.sha[:7]} --as NAME`."
        )
    if status.stage is Stage.CHECKLIST and status.waiting_for:
        lines.append(
            f"**To sign off**: {', '.join(status.waiting_for)}. *Send a Signal* → `sign_off` with "
            '`{"item": "…", "by": "your name", "note": "…"}`, or '
            f"`starter.py sign-off {status.sha[:7]} ITEM --as NAME`."
        )
    lines.append(
        '**To stop**: *Send a Signal* → `abort` with `{"by": "your name", "reason": "…"}`, or '
        f"`starter.py abort {status.sha[:7]}`; the old version takes all traffic again."
    )
    return "\n\n".join(lines)


def _ladder(status: PromotionStatus) -> str:
    if not status.steps:
        return ""
    rows = [
        f"| weight | {_GAP}new: failed/all | {_GAP}old: failed/all | {_GAP}verdict |",
        "|---|---|---|---|",
    ]
    return "\n".join(rows + [_rung(step) for step in status.steps])


def _rung(step: StepRecord) -> str:
    judgement = step.judgement
    if judgement is None:
        return f"| {step.weight:.0%} | | | {_GAP}watching |"
    new, old = judgement.canary, judgement.baseline
    return (
        f"| {step.weight:.0%} | {_GAP}{new.failures}/{new.requests} "
        f"| {_GAP}{old.failures}/{old.requests} "
        f"| {_GAP}{judgement.verdict.value}: {judgement.reason} |"
    )


def _checks(status: PromotionStatus) -> str:
    if not status.checks:
        return ""
    rows = ["| check | evidence |", "|---|---|"]
    rows += [f"| {c.text} | {_GAP}{c.verdict.value}: {c.evidence} |" for c in status.checks]
    return "\n".join(rows)


def _inbox(status: PromotionStatus) -> str:
    if not status.inbox:
        return ""
    rows = ["| message | by | | said |", "|---|---|---|---|"]
    for r in status.inbox:
        answer = "applied" if r.accepted else "refused"
        rows.append(f"| {r.at:%H:%M:%S} {r.kind} | {r.by} | {answer} | {r.text} |")
    return "\n".join(rows)

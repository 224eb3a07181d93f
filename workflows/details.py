"""A promotion in Markdown, for the Temporal UI: what is known, who can act, what comes next."""

from release.checklist import Answer, ItemState
from release.decisions import who_may
from release.evidence import SHORT
from release.infrastructure import ITEM, diff_lines
from release.lane import lane_id
from release.promotion import (
    PromotionRequest,
    PromotionStatus,
    Stage,
    StepRecord,
)
from release.text import percent
from release.verdict import CheckResult

_GAP = "\u2003"  # the UI sets its tables without any space between the columns
_MOST_EVIDENCE = 200  # characters of it shown here; `starter.py checklist` has all
_LATEST = 20  # messages shown; the query has all of them


def summary(request: PromotionRequest) -> str:
    """One line for the list of workflows."""
    return f"{request.policy.service} {request.version} to production, by {request.requested_by}"


def markdown(status: PromotionStatus, request: PromotionRequest) -> str:
    """The whole state of a promotion as people read it."""
    parts = [
        _head(status),
        _act(status, request),
        status.report,
        _quorum(status),
        _ladder(status),
        status.request if status.stage is Stage.APPROVAL else "",
        _infrastructure(status),
        _results("smoke at weight 0", status.smoke),
        _results("preflight", status.preflight),
        _checklist(status),
        _results("integration test", status.tests),
        _inbox(status),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(status: PromotionStatus) -> str:
    ending = f" — **{status.outcome.value}**: {_cell(status.reason)}" if status.outcome else ""
    lines = [
        f"### {status.service} `{status.version}`: {status.stage.value}{ending}",
        "",
        "| | |",
        "|---|---|",
        f"| commit | `{status.sha}` |",
        f"| requested by | {_cell(status.requested_by)} |",
        f"| production traffic on the new version | {percent(status.weight)} |",
    ]
    if status.baseline_version:
        versions = f"{status.baseline_version} → {status.canary_version or '?'}"
        lines.append(f"| Lambda version, old → new | {versions} |")
    if status.digest:
        lines.append(f"| evidence | `{status.digest[:SHORT]}` |")
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
    sha = status.sha[:7]
    lines = []
    if status.stage is Stage.APPROVAL:
        digest = status.digest[:SHORT]
        proof = ', "code": "your one-time code"' if status.proof_needed else ""
        lines.append(
            f"**To decide**: {who_may(request)}. *Send a Signal* → `approve` or `reject` with "
            f'`{{"approver": "your name", "comment": "…", "digest": "{digest}"{proof}}}`, or '
            f"`starter.py approve {sha} --digest {digest} --as NAME`."
        )
    waiting = [item for item in status.items if item.answer is Answer.WAITING]
    to_sign = [item.id for item in waiting if item.needs.startswith("a sign-off")]
    if status.stage is Stage.CHECKLIST and to_sign:
        lines.append(
            f"**To sign off**: {', '.join(to_sign)}. *Send a Signal* → `sign_off` with "
            '`{"item": "…", "by": "your name", "note": "…"}`, or '
            f"`starter.py sign-off {sha} ITEM --as NAME`."
        )
    unmeasured = [item.id for item in status.items if item.answer is Answer.INCONCLUSIVE]
    if status.stage is Stage.CHECKLIST and unmeasured:
        lines.append(
            f"**Could not be measured**, is tried again, and may be waived by "
            f"{', '.join(request.policy.checklist.waivers) or 'nobody'}: {', '.join(unmeasured)}. "
            'Signal `waive` with `{"item": "…", "by": "your name", "reason": "…"}`, or '
            f"`starter.py waive {sha} ITEM --reason … --as NAME`."
        )
    if status.infrastructure and status.infrastructure.objections:
        lines.append(
            "**Refused unless waived** by "
            f"{', '.join(request.policy.checklist.waivers) or 'nobody'}: "
            f"{_cell('; '.join(status.infrastructure.objections))}. Signal `waive` with "
            f'`{{"item": "{ITEM}", "by": "your name", "reason": "…"}}`, or '
            f"`starter.py waive {sha} {ITEM} --reason … --as NAME`."
        )
    if status.stage is Stage.LANE:
        lines.append(
            "**It waits in line**; to see who else does: `starter.py lane`. A freeze is lifted by "
            "`starter.py lane unfreeze --reason …`, or by the signal `unfreeze` to the workflow "
            f"`{lane_id(status.service)}`."
        )
    if status.stage is Stage.SHIFT:
        lines.append(
            "**To hold the weight**: signal `pause`, then `resume`. **To end the waiting**: "
            '`finish_now` with `{"by": "your name", "reason": "…"}`, by '
            f"{', '.join(request.policy.checklist.waivers) or 'nobody'}; 100 % is still watched."
        )
    lines.append(
        '**To stop**: *Send a Signal* → `abort` with `{"by": "your name", "reason": "…"}`, or '
        f"`starter.py abort {sha}`; the old version takes all traffic again."
    )
    return "\n\n".join(lines)


def _quorum(status: PromotionStatus) -> str:
    if not status.quorum or status.stage is not Stage.APPROVAL:
        return ""
    rows = ["| approval by | | so far |", "|---|---|---|"]
    for role in status.quorum:
        so_far = ", ".join(role.approved_by) or "nobody"
        count = f"{len(role.approved_by)} of {role.needed}"
        rows.append(f"| {role.role.replace('_', ' ')} | {_GAP}{count} | {_GAP}{_cell(so_far)} |")
    return "\n".join(rows)


def _ladder(status: PromotionStatus) -> str:
    if not status.steps:
        return ""
    rows = [
        f"| weight | {_GAP}new: failed/all | {_GAP}old: failed/all | {_GAP}evidence "
        f"| {_GAP}verdict |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(rows + [_rung(step) for step in status.steps])


def _rung(step: StepRecord) -> str:
    judgement = step.judgement
    if judgement is None:
        seen = "stopped by a message" if step.ended_at else "watching"
        return f"| {percent(step.weight)} | | | | {_GAP}{seen} |"
    new, old = judgement.canary, judgement.baseline
    return (
        f"| {percent(step.weight)} | {_GAP}{new.failures}/{new.requests} "
        f"| {_GAP}{old.failures}/{old.requests} | {_GAP}{judgement.evidence:.3g} "
        f"| {_GAP}{judgement.verdict.value}: {_cell(judgement.reason)} |"
    )


def _infrastructure(status: PromotionStatus) -> str:
    known = status.infrastructure
    rows = ["| infrastructure | change |", "|---|---|"]
    for plan in (known.staging, known.prod) if known else ():
        if plan is not None:
            rows += [
                f"| {plan.stack} | {_GAP}{_cell(line)} |"
                for line in diff_lines(plan) or ["nothing"]
            ]
    for waiver in known.waivers if known else ():
        rows.append(f"| waived by {_cell(waiver.by)} | {_GAP}{_cell(waiver.reason)} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _checklist(status: PromotionStatus) -> str:
    if not status.items:
        return ""
    rows = ["| checklist | evidence |", "|---|---|"]
    group = ""
    for item in status.items:
        heading = f"{item.part.value}: {item.group}"
        if heading != group:
            rows.append(f"| **{heading}** | |")
            group = heading
        rows.append(_item(item))
    return "\n".join(rows)


def _item(item: ItemState) -> str:
    known = item.needs if item.answer is Answer.WAITING else item.evidence
    if len(known) > _MOST_EVIDENCE:
        known = f"{known[:_MOST_EVIDENCE]}…"
    return f"| {_cell(item.text)} | {_GAP}**{item.answer.value}**: {_cell(known)} |"


def _results(title: str, results: tuple[CheckResult, ...]) -> str:
    if not results:
        return ""
    rows = [f"| {title} | evidence |", "|---|---|"]
    rows += [
        f"| {_cell(r.text)} | {_GAP}**{r.verdict.value}**: {_cell(r.evidence)} |" for r in results
    ]
    return "\n".join(rows)


def _inbox(status: PromotionStatus) -> str:
    if not status.inbox:
        return ""
    rows = ["| message | by | | said |", "|---|---|---|---|"]
    for r in status.inbox[-_LATEST:]:
        answer = "applied" if r.accepted else "refused"
        rows.append(f"| {r.at:%H:%M:%S} {r.kind} | {_cell(r.by)} | {answer} | {_cell(r.text)} |")
    if len(status.inbox) > _LATEST:
        rows.append(f"| and {len(status.inbox) - _LATEST} before | | | |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    """Other people's text in one cell: a line end or a bar would break the table."""
    return text.replace("|", "\\|").replace("\n", " ")

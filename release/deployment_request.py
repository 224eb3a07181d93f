"""The production deployment request ("Request Approval" in the promotion flow), in Markdown."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pydantic import Field

from release.codedeploy import planned_steps
from release.ladder import rungs, time_to_full
from release.message import Message
from release.policy import Shift, ShiftStep, Strategy
from release.text import cell, code, duration, name, one_line, percent
from release.windows import Windows

_MAX_CHANGES = 20
_MAX_ROWS = 30
_BREAK = "  "  # Markdown's line break
_UNITS = {
    timedelta(seconds=1): "a second",
    timedelta(minutes=1): "a minute",
    timedelta(hours=1): "an hour",
}
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{1,1000}")


class WaivedItem(Message):
    """A checklist item that somebody let pass unanswered."""

    item: str
    by: str
    reason: str


class Validation(Message):
    """How the checklists ended."""

    passed: int
    not_applicable: int = 0
    waived: tuple[WaivedItem, ...] = ()
    failed: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    performance_passed: bool = Field(description="every measured item of performance passed")


class NeededRole(Message):
    """A role that is asked, and how many of its people have to agree."""

    role: str
    needed: int = Field(ge=1)
    people: tuple[str, ...] = Field(description="who can decide on this release: no requester")


class StackDiff(Message):
    """What approvers agree to for production's stack."""

    stack: str
    changes: tuple[str, ...] = Field(description="one text each; empty: the stack stays as it is")
    waived: tuple[WaivedItem, ...] = Field((), description="refused changes that somebody let pass")


class RequestFacts(Message):
    """All that the request says."""

    at: datetime
    requester: str
    service: str
    sha: str = Field(min_length=7)
    version: str
    running_version: str = Field("", description="what production runs; empty: nothing yet")
    major: bool
    changes: tuple[str, ...] = Field((), description="commit subjects since the running version")
    validation: Validation
    infrastructure: StackDiff | None = Field(None, description="where the policy has a template")
    shift: Shift
    alarms_act_in: timedelta = Field(
        description="from the first failing request until the alarms have the old version back"
    )
    judgement_acts_in: timedelta = Field(description="the same by the judgement of a rung")
    rollback_version: str = Field(description="the Lambda version that takes all traffic again")
    last_drill: str = Field("", description="when and how it ended; empty: never")
    hotfix: str = Field("", description="why it goes before others; empty: it does not")
    windows: Windows = Windows()
    roles: tuple[NeededRole, ...] = Field(min_length=1)
    until: datetime
    digest: str
    proof_needed: bool = Field(True, description="whether a name alone is no approval")
    temporal_url: str = ""
    github_url: str = ""


def compose(facts: RequestFacts) -> str:
    """The request as people read it in the Temporal UI, in Slack and on GitHub."""
    parts = (
        _head(facts),
        _validation(facts),
        _infrastructure(facts.infrastructure),
        _details(facts),
        _approval(facts),
        _where(facts),
    )
    return "\n\n".join("\n".join(part) for part in parts if part)


def estimated_duration(shift: Shift) -> timedelta:
    """The least that ladder and bake take; waiting for requests comes on top."""
    by_codedeploy = sum((step.min_duration for step in _planned(shift)), timedelta(0))
    return by_codedeploy + time_to_full(shift) + shift.bake


def _planned(shift: Shift) -> tuple[ShiftStep, ...]:
    return planned_steps(shift.codedeploy_config) if shift.strategy is Strategy.CODEDEPLOY else ()


def traffic_impact(shift: Shift) -> str:
    """The ladder in words: "Gradual (10 % a minute)"."""
    climb = rungs(shift)[:-1]
    match shift.strategy:
        case Strategy.LINEAR:
            first = f", from {percent(climb[0].canary_weight)} at most" if shift.pre_ramp else ""
            return f"Gradual ({percent(shift.step)} {_every(shift.every)}{first})"
        case Strategy.CANARY:
            return f"Gradual ({percent(shift.step)} for {duration(shift.hold)}, then 100 %)"
        case Strategy.ADAPTIVE:
            first_weight = percent(climb[0].canary_weight)
            grows = f"from {first_weight} at most by a constant factor"
            return f"Gradual ({grows}, to 100 % in {duration(shift.total)})"
        case Strategy.CODEDEPLOY:
            return f"Gradual (AWS CodeDeploy: {shift.codedeploy_config})"
        case Strategy.ALL_AT_ONCE:
            return "All at once"


def exposed_share(steps: tuple[ShiftStep, ...], unseen: timedelta) -> tuple[float, timedelta]:
    """Of a fault that is there from the first request on and unseen for so long: the largest share
    of traffic that it reaches, and how long all traffic failing would be as much.

    The ladder is taken to climb meanwhile, as fast as it can.
    """
    share, as_much, left = 0.0, timedelta(0), unseen
    for step, following in pairwise((*steps, None)):
        if left <= timedelta(0) or step is None:
            break
        stays = left if following is None else min(left, step.min_duration)
        share = step.canary_weight
        as_much, left = as_much + stays * share, left - stays
    return share, as_much


def _head(facts: RequestFacts) -> list[str]:
    running = code(facts.running_version, 64)
    now = f"production runs {running}" if facts.running_version else "production runs nothing yet"
    kind = "**a major version**" if facts.major else "not a major version"
    since = f" since {running}" if facts.running_version else ""
    count = len(facts.changes)
    lines = [
        "## Production Deployment Request",
        "",
        f"**Date**: {_moment(facts.at)}{_BREAK}",
        f"**Requestor**: {name(facts.requester)}{_BREAK}",
        f"**Version**: {code(facts.version, 64)} of {name(facts.service)} "
        f"(commit {code(facts.sha[:12])}), {kind}; {now}{_BREAK}",
        f"**Changes**: {count} commit{'' if count == 1 else 's'}{since}",
    ]
    if facts.hotfix:
        lines.insert(-1, f"**Hotfix**, goes before others: {code(facts.hotfix)}{_BREAK}")
    if facts.changes:
        lines += ["", *(f"- {code(subject)}" for subject in facts.changes[:_MAX_CHANGES])]
    if count > _MAX_CHANGES:
        lines.append(f"- and {count - _MAX_CHANGES} more")
    return lines


def _validation(facts: RequestFacts) -> list[str]:
    seen = facts.validation
    waived = len(seen.waived)
    counts = f"{seen.passed} passed, {waived} waived, {seen.not_applicable} n/a"
    lines = [
        "### Staging Validation",
        "",
        f"- {_box(not seen.unanswered)} All checklist items completed: {counts}"
        + _but("unanswered", seen.unanswered),
        f"- {_box(not seen.failed)} No critical issues found" + _but("failed", seen.failed),
        f"- {_box(seen.performance_passed)} Performance acceptable"
        + ("" if seen.performance_passed else ": not every item of it was measured and passed"),
    ]
    if seen.waived:
        lines += ["", "| waived | by | because |", "|---|---|---|"]
        lines += [
            f"| {cell(item.item)} | {name(item.by)} | {cell(item.reason, 200)} |"
            for item in seen.waived[:_MAX_ROWS]
        ]
    if waived > _MAX_ROWS:
        lines += ["", f"and {waived - _MAX_ROWS} more waived items"]
    return lines


def _infrastructure(diff: StackDiff | None) -> list[str]:
    if diff is None:
        return []
    stack, count = code(diff.stack, 64), len(diff.changes)
    if not count:
        return ["### Infrastructure", "", f"{stack} stays as it is."]
    plural = "s" if count > 1 else ""
    return [
        "### Infrastructure",
        "",
        f"{stack} changes before traffic moves, and a rollback does not put it back:",
        "",
        *(f"- {code(change, 200)}" for change in diff.changes[:_MAX_ROWS]),
        *([f"- and {count - _MAX_ROWS} more change{plural}"] if count > _MAX_ROWS else []),
        *(f"- waived by {name(one.by)}: {code(one.reason)}" for one in diff.waived[:_MAX_ROWS]),
    ]


def _details(facts: RequestFacts) -> list[str]:
    shift = facts.shift
    takes = duration(estimated_duration(shift))
    target = code(facts.rollback_version, 64)
    release = f", release {code(facts.running_version, 64)}" if facts.running_version else ""
    drill = one_line(facts.last_drill)
    allowed = ", ".join(facts.windows.allow)
    windows = [f"- **Allowed Windows**: {code(f'{allowed} {facts.windows.timezone}', 400)}"]
    return [
        "### Deployment Details",
        "",
        f"- **Estimated Duration**: at least {takes}, of which {duration(shift.bake)} are watched "
        "at 100 %",
        *(windows if allowed and not facts.hotfix else []),
        f"- **Traffic Impact**: {traffic_impact(shift)}",
        f"- **Worst-Case Exposure**: {_exposure(facts)}",
        "- **Rollback Plan**: Automatic, by the judgement of every step and by CloudWatch Alarms; "
        f"by hand {code(f'starter.py abort {facts.sha[:7]}')}",
        f"- **Rollback Target**: Lambda version {target}{release}",
        f"- **Last Rollback Drill**: {code(drill) if drill else 'never'}",
    ]


def _exposure(facts: RequestFacts) -> str:
    unseen = max(facts.alarms_act_in, facts.judgement_acts_in)
    share, as_much = exposed_share((*_planned(facts.shift), *rungs(facts.shift)), unseen)
    return (
        f"a fault from the first request on reaches {percent(share)} of the traffic at most, as "
        f"much as all of it for {duration(as_much)}, until the slower of alarms "
        f"({duration(facts.alarms_act_in)}) and judgement ({duration(facts.judgement_acts_in)}) "
        f"has put the old version back; one that shows only at 100 % reaches all traffic for "
        f"{duration(unseen)}"
    )


def _approval(facts: RequestFacts) -> list[str]:
    kept = code(facts.running_version, 64) if facts.running_version else "what it has"
    return [
        "### Approval Required",
        "",
        "| role | needed | who can |",
        "|---|---|---|",
        *(
            f"| {name(role.role.replace('_', ' '))} | {role.needed} of {len(role.people)} "
            f"| {', '.join(name(person) for person in role.people[:_MAX_ROWS]) or 'nobody'} |"
            for role in facts.roles[:_MAX_ROWS]
        ),
        "",
        f"Until {_moment(facts.until)}. If they have not all agreed by then, the release ends as "
        f"expired and production keeps {kept}. One no ends it at once.",
        "",
        f"An approval counts for exactly this evidence: {code(facts.digest[:12])}.",
    ]


def _where(facts: RequestFacts) -> list[str]:
    proof = " --code" if facts.proof_needed else ""
    command = f"starter.py approve {facts.sha[:7]} --digest {facts.digest[:12]} --as NAME{proof}"
    lines = ["### Where to Decide", ""]
    if _WEB_ADDRESS.fullmatch(facts.temporal_url):
        lines.append(f"- Temporal: <{facts.temporal_url}>")
    lines.append(f"- Command line: {code(command)}")
    if _WEB_ADDRESS.fullmatch(facts.github_url):
        lines.append(f"- GitHub: <{facts.github_url}>")
    return lines


def _box(checked: bool) -> str:
    return "[x]" if checked else "[ ]"


def _but(what: str, items: tuple[str, ...]) -> str:
    if not items:
        return ""
    more = f" and {len(items) - _MAX_ROWS} more" if len(items) > _MAX_ROWS else ""
    return f"; {what}: {', '.join(code(item, 60) for item in items[:_MAX_ROWS])}{more}"


def _every(time: timedelta) -> str:
    return _UNITS.get(time) or f"every {duration(time)}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

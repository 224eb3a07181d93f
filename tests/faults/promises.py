"""P1 to P8 (docs/faults.md), held against what AWS, git, Temporal and the channels show."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3

from activities.deployment_table import DeploymentTable
from activities.quarantine_table import QuarantineTable
from cli import audit_source, audit_verify
from release.audit_story import tell
from release.promotion import Outcome
from tests.faults.aws_calls import Call
from tests.faults.promotion import FUNCTIONS, Run

FRESH_SECONDS = 90.0
_MOST_WRITES = 3  # of the baseline: a lost answer costs one more, which says the same
_API = "crypto-watch-api-prod"


async def violations(run: Run, *outcomes: Outcome) -> list[str]:
    """Every promise that does not hold, as `P3: …`; empty if all do."""
    found: list[str] = []
    if run.status.get("outcome") not in outcomes:
        said = f"{run.status.get('outcome')}: {run.status.get('reason')}"
        found.append(f"end: {said}, instead of {' or '.join(outcomes)}")
    for number, check in enumerate(_CHECKS, start=1):
        found += [f"P{number}: {text}" for text in await asyncio.to_thread(_list, check, run)]
    found += [f"P7: {text}" async for text in _audit(run)]
    return found


def _list(check: Any, run: Run) -> list[str]:
    return list(check(run))


def _once(run: Run) -> Iterator[str]:
    """P1: every effect at most once; a lease that is renewed is no second one."""
    for (function, environment), count in _published(run).items():
        if count > 1:
            yield f"{count} versions of {function} in {environment} for one release"
    for function in FUNCTIONS:
        for environment in ("staging", "prod"):
            name = f"crypto-watch-{function}-{environment}:live"
            moves = [text for text, _ in itertools.groupby(_moves(run, name))]
            again = [text for text, count in Counter(moves).items() if count > 1]
            if again and not _stepped_down(run):
                yield f"{name} was moved to {again} twice: {moves}"
    keys = Counter(body["event"] for _, body in _notices(run))
    distinct = {
        body["event"]: {k for k, b in _notices(run) if b["event"] == body["event"]}
        for _, body in _notices(run)
    }
    for event, of_event in distinct.items():
        if len(of_event) > 1:
            yield f"notice {event} went out under {len(of_event)} keys ({keys[event]} times)"


def _no_advance_unseen(run: Run) -> Iterator[str]:
    """P2: each higher weight comes after the alarms were read, and were read lately."""
    looked = measured = 0.0
    weight = 0.0
    for call in run.calls:
        if call.op == "DescribeAlarms" and call.applied and call.service == "cloudwatch":
            looked = call.at
        if call.op == "GetMetricData" and call.applied:
            measured = call.at
        if call.op != "UpdateAlias" or call.target != f"{_API}:live" or not call.applied:
            continue
        new = _weight(run, call)
        age = call.at - min(looked, measured)
        if new > weight and age > FRESH_SECONDS:
            yield f"{weight:g} → {new:g}, and the last look was {age:.0f} s before"
        weight = new


def _whole(run: Run) -> Iterator[str]:
    """P3: production ends whole, on the old version or on the new one; and it is the right one."""
    live = run.status.get("outcome") == Outcome.COMPLETED.value
    for name in FUNCTIONS:
        function = f"crypto-watch-{name}-prod"
        alias, before = run.after[function], run.before[function]["version"]
        wanted = run.status["published"].get(name) if live else before
        if alias["weights"] or alias["version"] != wanted:
            yield f"{function} serves {alias}, not {wanted} alone"
        if '"lease"' in alias["description"]:
            yield f"{function} keeps a lease: {alias['description']}"


def _approved_first(run: Run) -> Iterator[str]:
    """P4: nothing of production is written before every role has approved this very digest."""
    votes = run.status.get("votes", [])
    roles = {vote["approver"] for vote in votes if vote["digest"] == run.status.get("digest")}
    approved = max((_seconds(vote["at"]) for vote in votes), default=float("inf"))
    if not {"alice", "bob"} <= roles:
        approved = float("inf")
    for call in run.calls:
        if _is_production(call) and call.applied and call.at < approved:
            yield f"{call.label} {approved - call.at:.1f} s before the approval"


def _rolled_back(run: Run) -> Iterator[str]:
    """P5: a rollback comes through, once per function and not again and again."""
    went_back = run.status.get("outcome") in {Outcome.ROLLED_BACK.value, Outcome.ABORTED.value}
    touched = any(_is_production(call) and call.applied for call in run.calls)
    if not (went_back and touched):
        return
    writes = [c for c in run.calls if c.op == "UpdateAlias" and c.target == f"{_API}:live"]
    last = [c for c in writes if c.applied]
    if not last or _weight(run, last[-1]) != 0:
        yield "the last write to production is not the baseline"
    again = sum(_weight(run, call) == 0 for call in last)
    if again > _MOST_WRITES + run.lane.nursery.kills - run.kills_before:
        yield f"{again} writes of the baseline"


def _recorded_once(run: Run) -> Iterator[str]:
    """P6: one deployment record, one tag, one changelog entry; or none, if it did not go live."""
    live = run.status.get("outcome") == Outcome.COMPLETED.value
    sha, version = run.request.sha, run.request.version.partition("+")[0]
    tags = [line for line in run.lane.git("tag", "--points-at", sha).split() if line]
    if tags != ([f"v{version}"] if live else []):
        yield f"tags {tags}"
    branches = run.lane.git("branch", "--list", f"changelog/v{version}", f"changelog/{version}")
    if len(branches.split()) != (1 if live else 0):
        yield f"changelog branches {branches.split()}"
    elif live:
        name = branches.split()[0]
        text = run.lane.git("show", f"{name}:CHANGELOG.md")
        if text.count(f"## [{version}]") != 1:
            yield f"{name} has {text.count(f'## [{version}]')} sections of {version}"
    # a rollback that had nothing to put back writes as well, and leaves no record
    moved = set(_moves(run, f"{_API}:live")) - {"baseline"}
    records = _records(sha)
    if len(records) != (1 if moved else 0):
        yield f"{len(records)} deployment records"
    elif moved:
        want = "active" if live else "rolled-back"
        if records[0].replace("_", "-") != want:
            yield f"the record says {records[0]}, not {want}"
    quarantined = run.request.sha in _quarantined()
    if quarantined != (run.status.get("outcome") == Outcome.ROLLED_BACK.value):
        yield f"quarantined: {quarantined}"
    for part in run.kept.kept if run.kept else ():
        if not part.done:
            yield f"the record lacks {part.what}: {part.text}"


def _answered(run: Run) -> Iterator[str]:
    """P8: each message that Temporal took stands in the inbox, applied or refused with a reason."""
    inbox = Counter((one["kind"], one["by"]) for one in run.status.get("inbox", []))
    for message, count in Counter(run.sent).items():
        if inbox[message] < count:
            yield f"{message} was sent {count} times, and answered for {inbox[message]} times"
    for one in run.status.get("inbox", []):
        if not one["accepted"] and not one["text"]:
            yield f"{one['kind']} of {one['by']} was refused without a reason"


async def _audit(run: Run) -> Any:
    """P7: the audit says what AWS was asked, and its export proves itself."""
    story = tell(run.events, run.handle.id)
    said = [share.weight for share in story.shares]
    did = [text for text, _ in itertools.groupby(_moves(run, f"{_API}:live"))]
    shown = [weight for weight, _ in itertools.groupby(said)]
    done = [0.0 if text == "baseline" else float(text.partition("@")[2]) for text in did]
    if shown and shown[-1] != (done[-1] if done else 0.0):
        yield f"the audit ends at {shown}, AWS at {did}"
    if any(weight not in shown for weight in done):
        yield f"the audit shows {shown}, AWS was moved to {did}"
    source = await audit_source.load(run.handle.id, "", both=True)
    for finding in await audit_verify.verify(source):
        if not finding.holds:
            yield f"{finding.what}: {finding.text}"


_CHECKS = (
    _once,
    _no_advance_unseen,
    _whole,
    _approved_first,
    _rolled_back,
    _recorded_once,
    lambda run: iter(()),
    _answered,
)


def _published(run: Run) -> Counter[tuple[str, str]]:
    """(function, environment) → versions of this release, as Lambda lists them."""
    client, found = boto3.client("lambda"), Counter[tuple[str, str]]()
    for name in FUNCTIONS:
        for environment in ("staging", "prod"):
            pages = client.get_paginator("list_versions_by_function").paginate(
                FunctionName=f"crypto-watch-{name}-{environment}"
            )
            for version in (v for page in pages for v in page["Versions"]):
                if run.request.sha in version.get("Description", ""):
                    found[name, environment] += 1
    return found


def _moves(run: Run, target: str) -> list[str]:
    """What the alias was moved to, by every write that AWS applied: `baseline` or `new@0.3`."""
    function = target.partition(":")[0]
    before = run.before[function]["version"]
    found = []
    for call in run.calls:
        if call.op == "UpdateAlias" and call.target == target and call.applied:
            weights = call.parameters.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            if weights:
                found.append(f"new@{next(iter(weights.values())):g}")
            else:
                version = call.parameters.get("FunctionVersion")
                found.append("baseline" if version == before else "new@1")
    return found


def _stepped_down(run: Run) -> bool:
    """Whether the judgement sent the release down the ladder, to climb again."""
    judged = [rung.judgement for rung in tell(run.events, run.handle.id).rungs]
    return any(one.step_back or one.compare for one in judged if one is not None)


def _weight(run: Run, call: Call) -> float:
    weights = call.parameters.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    if weights:
        return float(next(iter(weights.values())))
    before = run.before[call.target.partition(":")[0]]["version"]
    return 0.0 if call.parameters.get("FunctionVersion") == before else 1.0


def _is_production(call: Call) -> bool:
    """A write that production's users, or its next version, could notice."""
    function, _, alias = call.target.partition(":")
    wanted = {"UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"}
    moves = call.op == "UpdateAlias" and alias == "live"
    return function.endswith("-prod") and (call.op in wanted or moves)


def _notices(run: Run) -> list[tuple[str, dict[str, Any]]]:
    return [
        (k, body) for k, body in run.lane.listener.notices if body.get("sha") == run.request.sha
    ]


def _records(sha: str) -> list[str]:
    table = DeploymentTable(boto3.client("dynamodb"), "crypto-watch-prod", "prod")
    return [one.status.value for one in table.all() if one.git_commit == sha]


def _quarantined() -> set[str]:
    table = QuarantineTable(boto3.client("dynamodb"), "crypto-watch-prod")
    return {entry.sha for entry in table.all()}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()

"""Recorded promotions made lifelike: the same events, as far apart as on a real day."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio.client import WorkflowUpdateFailedError

from activities.inputs import StepInput
from release.audit_events import Event, attributes, handed_over
from release.promotion import Counts, StepJudgement
from release.verdict import Verdict
from tests.flow import recordings
from tests.flow.release_system import ReleaseSystem

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z$")


def recorded(name: str) -> list[Event]:
    """The events of one of the flow's recordings."""
    events: list[Event] = json.loads(recordings.current(name))["events"]
    return events


def promotion_of(events: list[Event]) -> str:
    """The id under which it was recorded."""
    left = handed_over(events)
    assert left is not None
    return str(left["status"]["workflow_id"])


def changed_payloads(node: Any, change: Callable[[Any], Any]) -> Any:
    """The same with each payload's value changed."""
    if isinstance(node, dict) and "data" in node and "metadata" in node:
        value = change(json.loads(base64.b64decode(node["data"])))
        return node | {"data": base64.b64encode(json.dumps(value).encode()).decode()}
    if isinstance(node, dict):
        return {key: changed_payloads(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [changed_payloads(value, change) for value in node]
    return node


def lifelike(events: list[Event], seconds: dict[str, float]) -> list[Event]:
    """Each named activity takes so many seconds, and each named signal comes so much later."""
    edges = list(_edges(events, seconds))

    def moved(text: str) -> str:
        moment = datetime.fromisoformat(text)
        later = sum(more for edge, more in edges if edge <= moment)
        return f"{moment + timedelta(seconds=later):%Y-%m-%dT%H:%M:%S.%f}Z"

    def in_payload(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: in_payload(one) for key, one in value.items()}
        if isinstance(value, list):
            return [in_payload(one) for one in value]
        return moved(value) if isinstance(value, str) and _TIME.match(value) else value

    return [
        changed_payloads(event, in_payload) | {"eventTime": moved(event["eventTime"])}
        for event in events
    ]


def _edges(events: list[Event], seconds: dict[str, float]) -> Iterator[tuple[datetime, float]]:
    names: dict[str, str] = {}
    for event in events:
        said = attributes(event)
        moment = datetime.fromisoformat(event["eventTime"])
        if "activityType" in said:
            names[event["eventId"]] = said["activityType"]["name"]
        ended = event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED"
        name = names.get(said.get("scheduledEventId", ""), "") if ended else ""
        name = name or said.get("signalName", "")
        if name in seconds:
            yield moment, seconds[name]


# How long things take on a real day, and when people come to it.
DAY = {
    "build_artifacts": 41,
    "publish_version": 3,
    "run_integration_tests": 12,
    "check_staging": 66,
    "run_project_checks": 95,
    "notify": 71,
    "approve": 380,
    "pause": 30,
    "resume": 140,
    "preflight": 8,
    "smoke": 9,
    "shift_step": 60,
    "roll_back": 1,
}
ATTACK = '<script>alert("subject")</script>'


async def promote(system: ReleaseSystem, is_good: bool) -> list[Event]:
    """The events of a promotion with everything in it that an audit tells, on a real day."""
    script = system.script
    script.accepts_claims = False
    script.judge = partial(_judged, is_good)
    handle = await system.promote_to_approval(
        changes=(f"fix: {ATTACK} in a subject", "feat: \u202eprices\u202c of five more coins"),
        authors=("erin",),
        running_version="1.2.2",
    )
    digest = (await system.status(handle)).digest
    await handle.signal("approve", {"approver": "alice", "comment": "trust me"})
    await handle.signal("approve")
    with suppress(WorkflowUpdateFailedError):
        await handle.execute_update("approve", {"approver": "mallory", "code": "123456"})
    for name in ("alice", "bob"):
        vote = {"approver": name, "comment": f"seen {ATTACK}", "digest": digest, "code": "123456"}
        await handle.execute_update("approve", vote)
    await handle.result()
    events = json.loads((await handle.fetch_history()).to_json())["events"]
    return lifelike(events, DAY)


def _judged(is_good: bool, order: StepInput) -> StepJudgement:
    """Ever more requests; a bad version's failures and evidence grow with its weight."""
    new = Counts(requests=round(9000 * order.weight), failures=0)
    old = Counts(requests=round(9000 * (1 - order.weight)), failures=round(4 * (1 - order.weight)))
    if is_good:
        evidence = max(0.03, 0.8 - order.weight) * (6 if 0.28 < order.weight < 0.32 else 1)
        return StepJudgement(
            verdict=Verdict.PASSED, reason="", canary=new, baseline=old, evidence=evidence
        )
    new = new.model_copy(update={"failures": round(new.requests * order.weight / 8)})
    evidence = 260.0 if order.weight >= 0.3 else 0.8 + order.weight * 9
    bad = evidence > 100
    return StepJudgement(
        verdict=Verdict.FAILED if bad else Verdict.PASSED,
        reason=f"{new.failures} of {new.requests} requests failed" if bad else "",
        canary=new,
        baseline=old,
        evidence=evidence,
    )

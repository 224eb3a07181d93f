"""How a history becomes an audit: plain rules over the list of its events."""

from datetime import datetime
from typing import Any, TypeVar

from release.audit import Audit, Checked, Deed, Rung, Share, Span, StackChange
from release.audit_events import (
    Call,
    Event,
    at,
    attributes,
    calls,
    cause,
    closing,
    first,
    handed_over,
    name,
    upserts,
)
from release.audit_messages import told
from release.change_set import InfrastructurePlan
from release.checklist import ItemState
from release.infrastructure import diff_lines
from release.message import Message
from release.promotion import Artifact, Stage, StepJudgement
from release.verdict import CheckResult
from release.votes import RoleStanding, Vote

Value = TypeVar("Value", bound=Message)
PLACES = {
    "run_integration_tests": "integration tests",
    "check_staging": "staging",
    "run_project_checks": "the commit",
    "preflight": "preflight",
    "smoke": "smoke at weight 0",
}
WATCHES = ("shift_step", "shift_by_codedeploy")


class NotAPromotion(ValueError):
    """The history is another workflow's, or none at all."""


def tell(events: list[Event], workflow_id: str, status: dict[str, Any] | None = None) -> Audit:
    """The audit of a promotion's run.

    `status` is the workflow's own account of its decisions, if it is known from elsewhere; one that
    has ended wrote it into its history.
    """
    begin = attributes(events[0]) if events else {}
    if begin.get("workflowType", {}).get("name") != "PromotionWorkflow":
        raise NotAPromotion(f"{workflow_id} is no promotion: an audit is of a promotion")
    request = first(begin.get("input")) or {}
    left = handed_over(events)
    known = left["status"] if left else status
    policy = request["policy"]
    function = f"{policy['service']}-{policy.get('api', 'api')}-prod"
    done = calls(events)
    outcome, reason, closed_as = _end(events, known or {})
    baseline, canary = _versions(done, function)
    return Audit(
        workflow_id=workflow_id,
        run_id=begin.get("originalExecutionRunId", ""),
        service=policy["service"],
        sha=request["sha"],
        version=request["version"],
        running_version=request.get("running_version", ""),
        requested_by=request["requested_by"],
        changes=request.get("changes", ()),
        authors=request.get("authors", ()),
        clock_factor=request.get("clock_factor", 1),
        policy=policy,
        begun=at(events[0]),
        until=at(events[-1]),
        outcome=outcome,
        reason=reason,
        closed_as=closed_as,
        is_decided=known is not None,
        baseline=baseline,
        canary=canary,
        slow_ms=next(
            (c.answer["slow_ms"] for c in done if c.name == "arm_alarms" and c.answer), None
        ),
        digest=(known or {}).get("digest", ""),
        stages=_stages(events),
        artifacts=_all(Artifact, *(c.answer for c in done if c.name == "build_artifacts")),
        infrastructure=_infrastructure(done),
        checks=_checks(done),
        items=_all(ItemState, (known or {}).get("items")),
        quorum=_all(RoleStanding, (known or {}).get("quorum")),
        votes=_all(Vote, (known or {}).get("votes")),
        rungs=tuple(_rung(call) for call in done if call.name in WATCHES),
        shares=_shares(done, function),
        said=told(events, (known or {}).get("inbox") if known else None),
        deeds=tuple(_deed(call) for call in done),
        events=len(events),
    )


def _all(model: type[Value], *found: Any) -> tuple[Value, ...]:
    """Every value of the lists; a field that this code does not know is left out."""
    return tuple(
        model.model_validate({k: v for k, v in one.items() if k in model.model_fields})
        for many in found
        for one in many or ()
    )


def _end(events: list[Event], known: dict[str, Any]) -> tuple[str, str, str]:
    """Outcome, reason, and how Temporal closed the run."""
    close = closing(events)
    said = attributes(close) if close else {}
    result = first(said.get("result"))
    result = result if isinstance(result, dict) else {}
    closed_as = name(close).removeprefix("WORKFLOW_EXECUTION_").lower() if close else ""
    by_attribute = [outcome for _, outcome in upserts(events, "ReleaseOutcome")]
    outcome = result.get("outcome") or known.get("outcome") or (by_attribute or [""])[-1]
    failure = cause(said.get("failure")) or str(said.get("reason", ""))
    reason = result.get("reason") or known.get("reason") or failure
    if close and not outcome:  # terminated, or out of time: it could not say anything itself
        outcome = closed_as.replace("_", " ")
    return str(outcome), str(reason), closed_as


def _stages(events: list[Event]) -> tuple[Span, ...]:
    begun = [(at(events[0]), Stage.BUILD.value), *upserts(events, "ReleaseStage")]
    last = at(events[-1]) if closing(events) else None
    ends = [*(moment for moment, _ in begun[1:]), last]
    return tuple(
        Span(stage=stage, begun=moment, ended=end)
        for (moment, stage), end in zip(begun, ends, strict=True)
        if stage != Stage.DONE.value
    )


def _infrastructure(done: list[Call]) -> tuple[StackChange, ...]:
    plans = _all(
        InfrastructurePlan, [c.answer for c in done if c.name == "plan_infrastructure" and c.answer]
    )
    last = {plan.stack: plan for plan in plans if plan.changes}
    executed = {c.order["stack"]: c for c in done if c.name == "execute_infrastructure"}
    return tuple(
        StackChange(
            stack=stack,
            changes=tuple(diff_lines(plan)),
            ended=executed[stack].ended if stack in executed else None,
            failure=executed[stack].failure if stack in executed else "",
        )
        for stack, plan in last.items()
    )


def _checks(done: list[Call]) -> tuple[Checked, ...]:
    return tuple(
        Checked(at=call.ended, place=PLACES[call.name], result=result)
        for call in done
        if call.name in PLACES and call.ended is not None
        for result in _all(CheckResult, call.answer)
    )


def _rung(call: Call) -> Rung:
    answer = call.answer or {}
    judgement = _all(StepJudgement, [answer["judgement"]] if "judgement" in answer else None)
    weight = call.order["weight"]
    if call.name == "shift_by_codedeploy" and answer:
        weight = answer["alias"]["weight"] or 1.0
    return Rung(
        weight=weight,
        begun=call.at,
        ended=call.ended,
        is_pause=call.order.get("is_pause", False),
        judgement=judgement[0] if judgement else None,
        failure=call.failure,
    )


def _shares(done: list[Call], function: str) -> tuple[Share, ...]:
    """The new version's share of production's requests, by what the alias was told."""
    found: list[Share] = []
    for call in done:
        moment, order = call.begun or call.at, call.order or {}
        if call.name == "shift_step":
            found.append(Share(at=moment, weight=order["weight"]))
        elif call.name == "shift_by_codedeploy" and call.answer and call.ended:
            weight = 1.0 if call.answer["alias"]["canary"] is None else order["weight"]
            found.append(Share(at=call.ended, weight=weight))
        elif call.name == "roll_back" and call.answer and order["function"] == function:
            found.append(Share(at=_moment(call), weight=0.0))
    return tuple(sorted(found, key=lambda share: share.at))


def _versions(done: list[Call], function: str) -> tuple[str, str]:
    """The API's version before, and the one that was published; empty where it did not come so."""
    before = after = ""
    for call in done:
        of_function = isinstance(call.order, dict) and call.order.get("function") == function
        if of_function and call.name == "record_baseline" and call.answer:
            before = call.answer["version"]
        if of_function and call.name == "publish_version" and call.answer:
            after = str(call.answer)
    return before, after


def _deed(call: Call) -> Deed:
    return Deed(
        name=call.name,
        summary=call.summary,
        begun=call.begun or call.at,
        ended=call.ended,
        attempts=max(call.attempts, 1),
        failure=call.failure,
    )


def _moment(call: Call) -> datetime:
    return call.ended or call.begun or call.at

"""Infrastructure: a commit's template as a change set of an environment's stack, seen, then done.

The stack keeps the values of its parameters: those of its first version's code belong to the stack,
and what promotions published later is none of the template's.
"""

import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.git import git
from activities.inputs import ChangeSetInput, PlanInput
from activities.staging import Pause, heartbeat_and_wait
from release.change_set import Action, InfrastructurePlan, Replacement, ResourceChange

NO_PLAN, NOT_EXECUTED = "NoPlan", "NotExecuted"
_POLL_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 15 * 60.0  # for somebody else's update of the stack
_LARGEST_TEMPLATE = 51_200  # bytes that CloudFormation takes in a call
_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_USABLE = {
    *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
    *("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
}
_MOST_REASONS = 3
_LONGEST_VALUE = 60  # characters; of a longer one only the name is told


class Infrastructure:
    """Plans and executes change sets; each has a name, so that a retry meets its own."""

    def __init__(
        self,
        repository: Path,
        cloudformation: Any,
        pause: Pause = heartbeat_and_wait,
        longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
    ) -> None:
        self._repository = repository
        self._cloudformation = cloudformation
        self._pause = pause
        self._longest_wait_seconds = longest_wait_seconds

    @activity.defn
    def plan_infrastructure(self, order: PlanInput) -> InfrastructurePlan:
        """What the commit's template would change; where it is something, the change set waits.

        One that was overtaken by another update of the stack is made anew.

        Raises:
            ApplicationError: not retryable: `NoPlan` if CloudFormation refuses the template,
                otherwise the stack is missing, broken, or being updated for too long.
        """
        stack = self._settled(order.stack)
        found = self._described(order.stack, order.change_set)
        if found is not None and found["ExecutionStatus"] == "OBSOLETE":
            self._delete(order)
            found = None
        if found is None:
            self._create(order, stack)
        made = self._made(order)
        if made["Status"] == "FAILED":
            self._delete(order)
            reason = made.get("StatusReason", "no reason given")
            if any(text in reason for text in _NO_CHANGES):
                return InfrastructurePlan(stack=order.stack)
            raise _no_plan(order, reason)
        return InfrastructurePlan(
            stack=order.stack,
            change_set=order.change_set,
            changes=tuple(self._changes(order.stack, order.change_set)),
        )

    @activity.defn
    def execute_infrastructure(self, order: ChangeSetInput) -> None:
        """The stack is as its change set says.

        Raises:
            ApplicationError: `NotExecuted`, not retryable: the stack rolled itself back, with what
                CloudFormation says of it; or the change set was overtaken by another update.
        """
        while True:
            found = self._described(order.stack, order.change_set)
            if found is None:
                self._check_executed(order)
                return
            match found["ExecutionStatus"]:
                case "AVAILABLE":
                    self._start(order)
                case "EXECUTE_COMPLETE":
                    self._settled(order.stack)  # what was replaced is being taken away
                    return
                case "EXECUTE_FAILED":
                    self._settled(order.stack, usable=None)
                    raise _not_executed(order, self._why(order.stack))
                case "OBSOLETE" | "UNAVAILABLE" as status:
                    text = f"the change set is {status}: the stack was updated past it"
                    raise _not_executed(order, text)
            self._pause(_POLL_SECONDS)

    def _check_executed(self, order: ChangeSetInput) -> None:
        """The stack has its last update by this change set, which is not known any more."""
        stack = self._settled(order.stack, usable=None)
        if f"changeSet/{order.change_set}/" not in stack.get("ChangeSetId", ""):
            raise _not_executed(order, "the change set is gone: the stack was updated past it")
        if stack["StackStatus"] != "UPDATE_COMPLETE":
            raise _not_executed(order, self._why(order.stack))

    @activity.defn
    def discard_infrastructure(self, order: ChangeSetInput) -> None:
        """A change set that is not to be executed any more is gone."""
        self._delete(order)

    def _settled(self, name: str, usable: set[str] | None = _USABLE) -> dict[str, Any]:
        """The stack once nobody updates it."""
        deadline = time.monotonic() + self._longest_wait_seconds
        while True:
            stack = self._stack(name)
            status = str(stack["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                break
            if time.monotonic() > deadline:
                text = f"somebody else is updating {name}, which is {status}"
                raise _final(f"{text}; promote again when that has ended", "StackBusy")
            self._pause(_POLL_SECONDS)
        if usable is not None and status not in usable:
            raise _final(f"{name} is {status}: it has to be repaired first", "StackBroken")
        return stack

    def _stack(self, name: str) -> dict[str, Any]:
        try:
            [stack] = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            raise _final(f"the stack {name} does not exist: create it first", "NoStack") from error
        found: dict[str, Any] = stack
        return found

    def _create(self, order: PlanInput, stack: dict[str, Any]) -> None:
        body = self._template(order)
        had = {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}
        try:
            summary = self._cloudformation.get_template_summary(TemplateBody=body)
            names = [parameter["ParameterKey"] for parameter in summary["Parameters"]]
            self._cloudformation.create_change_set(
                StackName=order.stack,
                ChangeSetName=order.change_set,
                ClientToken=order.change_set,
                Description=f"promotion of {order.sha}",
                TemplateBody=body,
                Parameters=[
                    {"ParameterKey": name, "UsePreviousValue": True}
                    for name in names
                    if name in had
                ],
                Capabilities=_CAPABILITIES,
            )
        except ClientError as error:
            if error_code(error) == "AlreadyExistsException":
                return  # an earlier attempt's, whose answer was lost
            if error_code(error) in ("ValidationError", "InsufficientCapabilitiesException"):
                said = error.response["Error"].get("Message", "")
                raise _no_plan(order, said) from error
            raise

    def _template(self, order: PlanInput) -> str:
        shown = git(self._repository, "show", f"{order.sha}:{order.template}")
        if shown.returncode != 0:
            raise _no_plan(order, f"the commit has no {order.template}: {shown.stderr.strip()}")
        if len(shown.stdout.encode()) > _LARGEST_TEMPLATE:
            raise _no_plan(order, f"{order.template} is larger than {_LARGEST_TEMPLATE} bytes")
        return shown.stdout

    def _made(self, order: PlanInput) -> dict[str, Any]:
        while True:
            found = self._described(order.stack, order.change_set)
            if found is None:
                raise RuntimeError(f"{order.stack}: somebody took {order.change_set} away")
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return found
            self._pause(_POLL_SECONDS)

    def _described(self, stack: str, change_set: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._cloudformation.describe_change_set(
                StackName=stack, ChangeSetName=change_set
            )
        except ClientError as error:
            if error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException"):
                return None
            raise
        return found

    def _changes(self, stack: str, change_set: str) -> list[ResourceChange]:
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(
            StackName=stack, ChangeSetName=change_set, IncludePropertyValues=True
        )
        found = (change["ResourceChange"] for page in pages for change in page["Changes"])
        return sorted(map(_change, found), key=lambda change: change.logical_id)

    def _start(self, order: ChangeSetInput) -> None:
        try:
            self._cloudformation.execute_change_set(
                StackName=order.stack,
                ChangeSetName=order.change_set,
                ClientRequestToken=order.change_set,
            )
        except ClientError as error:
            # begun by an earlier attempt meanwhile, or overtaken: the next look tells which
            if error_code(error) not in ("InvalidChangeSetStatus", "ChangeSetNotFound"):
                raise

    def _delete(self, order: PlanInput | ChangeSetInput) -> None:
        self._cloudformation.delete_change_set(
            StackName=order.stack, ChangeSetName=order.change_set
        )

    def _why(self, stack: str) -> str:
        """What failed in the stack's last update, the first of it first."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(
            StackName=stack
        )
        reasons = []
        for event in (one for page in pages for one in page["StackEvents"]):  # the newest first
            status, name = event["ResourceStatus"], event["LogicalResourceId"]
            if name == stack and status == "UPDATE_IN_PROGRESS":
                break
            reason = event.get("ResourceStatusReason", "")
            if status.endswith("_FAILED") and "cancelled" not in reason:
                reasons.append(f"{name}: {reason or status}")
        return "; ".join(reversed(reasons[-_MOST_REASONS:])) or "it gives no reason"


def _change(found: dict[str, Any]) -> ResourceChange:
    details = found.get("Details", [])
    properties = [_property(detail["Target"]) for detail in details]
    texts = [_detail(detail) for detail in details]
    return ResourceChange(
        logical_id=found["LogicalResourceId"],
        type=found["ResourceType"],
        action=Action(found["Action"]),
        replacement=Replacement(found.get("Replacement", "False")),
        properties=tuple(dict.fromkeys(properties)),
        details=tuple(dict.fromkeys(texts)),
        is_certain=not details or any(d.get("Evaluation") != "Dynamic" for d in details),
    )


def _property(target: dict[str, Any]) -> str:
    return str(target.get("Name") or target["Attribute"])


def _detail(detail: dict[str, Any]) -> str:
    target, cause = detail["Target"], detail.get("CausingEntity")
    if cause:
        word = "if" if detail.get("Evaluation") == "Dynamic" else "as"
        return f"{_property(target)} {word} {cause} changes"
    values = [target.get(key) or "nothing" for key in ("BeforeValue", "AfterValue")]
    known = "BeforeValue" in target or "AfterValue" in target
    if not known or any(len(value) > _LONGEST_VALUE for value in values):
        return _property(target)
    return f"{_property(target)} {' → '.join(values)}"


def _no_plan(order: PlanInput, reason: str) -> ApplicationError:
    return _final(f"{order.stack} cannot become what {order.template} says: {reason}", NO_PLAN)


def _not_executed(order: ChangeSetInput, reason: str) -> ApplicationError:
    return _final(f"{order.stack} was not changed: {reason}", NOT_EXECUTED)


def _final(text: str, kind: str) -> ApplicationError:
    return ApplicationError(text, type=kind, non_retryable=True)

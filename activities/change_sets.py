"""CloudFormation's stacks and change sets as they are read: waited for, and told in our values."""

import time
from typing import Any

from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.staging import Pause
from release.change_set import Action, Replacement, ResourceChange

POLL_SECONDS = 1.0
_USABLE = {
    *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
    *("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
}
_MOST_REASONS = 3
_LONGEST_VALUE = 60  # characters; of a longer one only the name is told


class ChangeSets:
    """Reads; nothing is written here but a deletion."""

    def __init__(self, cloudformation: Any, pause: Pause, longest_wait_seconds: float) -> None:
        self._cloudformation = cloudformation
        self._pause = pause
        self._longest_wait_seconds = longest_wait_seconds

    def settled_stack(self, name: str) -> dict[str, Any]:
        """The stack once nobody updates it.

        Raises:
            ApplicationError: not retryable: it does not exist, or is updated for too long.
        """
        deadline = time.monotonic() + self._longest_wait_seconds
        while True:
            stack = self._stack(name)
            status = str(stack["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return stack
            if time.monotonic() > deadline:
                text = f"somebody else is updating {name}, which is {status}"
                raise final(f"{text}; promote again when that has ended", "StackBusy")
            self._pause(POLL_SECONDS)

    def usable_stack(self, name: str) -> dict[str, Any]:
        """As `settled_stack`; a change set can be made of it."""
        stack = self.settled_stack(name)
        if stack["StackStatus"] not in _USABLE:
            text = f"{name} is {stack['StackStatus']}: it has to be repaired first"
            raise final(text, "StackBroken")
        return stack

    def _stack(self, name: str) -> dict[str, Any]:
        try:
            [stack] = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            raise final(f"the stack {name} does not exist: create it first", "NoStack") from error
        found: dict[str, Any] = stack
        return found

    def find(self, stack: str, change_set: str) -> dict[str, Any] | None:
        """The change set as AWS describes it; None where it knows none."""
        try:
            found: dict[str, Any] = self._cloudformation.describe_change_set(
                StackName=stack, ChangeSetName=change_set
            )
        except ClientError as error:
            if error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException"):
                return None
            raise
        return found

    def changes(self, stack: str, change_set: str) -> tuple[ResourceChange, ...]:
        """All that it would change, by the resources' names."""
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(
            StackName=stack, ChangeSetName=change_set, IncludePropertyValues=True
        )
        found = (change["ResourceChange"] for page in pages for change in page["Changes"])
        return tuple(sorted(map(_change, found), key=lambda change: change.logical_id))

    def delete(self, stack: str, change_set: str) -> None:
        """It is gone, if it was there."""
        self._cloudformation.delete_change_set(StackName=stack, ChangeSetName=change_set)

    def why_failed(self, stack: str) -> str:
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


def final(text: str, kind: str) -> ApplicationError:
    """An error that no retry would change."""
    return ApplicationError(text, type=kind, non_retryable=True)


def _change(found: dict[str, Any]) -> ResourceChange:
    details = found.get("Details", [])
    return ResourceChange(
        logical_id=found["LogicalResourceId"],
        type=found["ResourceType"],
        action=Action(found["Action"]),
        replacement=Replacement(found.get("Replacement", "False")),
        properties=tuple(dict.fromkeys(_property(detail["Target"]) for detail in details)),
        details=tuple(dict.fromkeys(map(_detail, details))),
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

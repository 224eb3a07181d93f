"""Infrastructure: a commit's template as a change set of an environment's stack, seen, then done.

The stack keeps the values of its parameters: those of its first version's code belong to the stack,
and what promotions published later is none of the template's.
"""

from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.change_sets import POLL_SECONDS, ChangeSets, final
from activities.git import git
from activities.inputs import ChangeSetInput, PlanInput
from activities.staging import Pause, heartbeat_and_wait
from release.change_set import InfrastructurePlan

NO_PLAN, NOT_EXECUTED = "NoPlan", "NotExecuted"
_LONGEST_WAIT_SECONDS = 15 * 60.0  # for somebody else's update of the stack
_LARGEST_TEMPLATE = 51_200  # bytes that CloudFormation takes in a call
_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


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
        self._change_sets = ChangeSets(cloudformation, pause, longest_wait_seconds)

    @activity.defn
    def plan_infrastructure(self, order: PlanInput) -> InfrastructurePlan:
        """What the commit's template would change; where it is something, the change set waits.

        One that was overtaken by another update of the stack is made anew.

        Raises:
            ApplicationError: not retryable: `NoPlan` if CloudFormation refuses the template,
                otherwise the stack is missing, broken, or being updated for too long.
        """
        stack = self._change_sets.usable_stack(order.stack)
        found = self._change_sets.find(order.stack, order.change_set)
        if found is not None and found["ExecutionStatus"] == "OBSOLETE":
            self._change_sets.delete(order.stack, order.change_set)
            found = None
        if found is None:
            self._create(order, stack)
        made = self._made(order)
        if made["Status"] == "FAILED":
            self._change_sets.delete(order.stack, order.change_set)
            reason = made.get("StatusReason", "no reason given")
            if any(text in reason for text in _NO_CHANGES):
                return InfrastructurePlan(stack=order.stack)
            raise _no_plan(order, reason)
        return InfrastructurePlan(
            stack=order.stack,
            change_set=order.change_set,
            changes=self._change_sets.changes(order.stack, order.change_set),
        )

    @activity.defn
    def execute_infrastructure(self, order: ChangeSetInput) -> None:
        """The stack is as its change set says.

        Raises:
            ApplicationError: `NotExecuted`, not retryable: the stack rolled itself back, with what
                CloudFormation says of it; or the change set was overtaken by another update.
        """
        while True:
            found = self._change_sets.find(order.stack, order.change_set)
            match found and found["ExecutionStatus"]:
                case "AVAILABLE":
                    self._start(order)
                case "EXECUTE_COMPLETE":
                    self._change_sets.settled_stack(order.stack)  # what was replaced is taken away
                    return
                case "EXECUTE_FAILED":
                    self._change_sets.settled_stack(order.stack)
                    raise _not_executed(order, self._change_sets.why_failed(order.stack))
                case "OBSOLETE" | "UNAVAILABLE" as status:
                    text = f"the change set is {status}: the stack was updated past it"
                    raise _not_executed(order, text)
                case None:
                    self._check_executed(order)
                    return
            self._pause(POLL_SECONDS)

    @activity.defn
    def discard_infrastructure(self, order: ChangeSetInput) -> None:
        """A change set that is not to be executed any more is gone."""
        self._change_sets.delete(order.stack, order.change_set)

    def _create(self, order: PlanInput, stack: dict[str, Any]) -> None:
        body = self._template(order)
        had = {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}
        try:
            summary = self._cloudformation.get_template_summary(TemplateBody=body)
            names = [parameter["ParameterKey"] for parameter in summary["Parameters"]]
            kept = [{"ParameterKey": n, "UsePreviousValue": True} for n in names if n in had]
            self._cloudformation.create_change_set(
                StackName=order.stack,
                ChangeSetName=order.change_set,
                ClientToken=order.change_set,
                Description=f"promotion of {order.sha}",
                TemplateBody=body,
                Parameters=kept,
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
            found = self._change_sets.find(order.stack, order.change_set)
            if found is None:
                raise RuntimeError(f"{order.stack}: somebody took {order.change_set} away")
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return found
            self._pause(POLL_SECONDS)

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

    def _check_executed(self, order: ChangeSetInput) -> None:
        """The stack has its last update by this change set, which is not known any more."""
        stack = self._change_sets.settled_stack(order.stack)
        if f"changeSet/{order.change_set}/" not in stack.get("ChangeSetId", ""):
            raise _not_executed(order, "the change set is gone: the stack was updated past it")
        if stack["StackStatus"] != "UPDATE_COMPLETE":
            raise _not_executed(order, self._change_sets.why_failed(order.stack))


def _no_plan(order: PlanInput, reason: str) -> ApplicationError:
    return final(f"{order.stack} cannot become what {order.template} says: {reason}", NO_PLAN)


def _not_executed(order: ChangeSetInput, reason: str) -> ApplicationError:
    return final(f"{order.stack} was not changed: {reason}", NOT_EXECUTED)

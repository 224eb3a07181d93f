"""A stack that somebody else is at, and what else no emulator can be made to show."""

import pytest
from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tests.stacks.stack_parts import STACK, execute, infrastructure

GONE = "gone"
BUSY = "UPDATE_IN_PROGRESS"


class ScriptedStack:
    """CloudFormation's answers, one after the other; the last one stays."""

    def __init__(self, statuses=("UPDATE_COMPLETE",), executions=(GONE,), last="") -> None:
        self.statuses, self.executions, self.last = list(statuses), list(executions), last
        self.calls = []

    def describe_stacks(self, StackName):
        self.calls.append("look")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"Stacks": [{"StackStatus": status, "ChangeSetId": self.last}]}

    def describe_change_set(self, **_):
        found = self.executions.pop(0) if len(self.executions) > 1 else self.executions[0]
        if found == GONE:
            raise ClientError({"Error": {"Code": "ChangeSetNotFound"}}, "DescribeChangeSet")
        reason = "The submitted information didn't contain changes."
        return {"ExecutionStatus": found, "Status": "FAILED", "StatusReason": reason}

    def get_template_summary(self, TemplateBody):
        return {"Parameters": []}

    def create_change_set(self, **_):
        self.calls.append("create")

    def delete_change_set(self, **_):
        self.calls.append("delete")

    def execute_change_set(self, **_):
        self.calls.append("execute")

    def get_paginator(self, _):
        return self

    def paginate(self, StackName):
        failed = "UPDATE_FAILED"
        events = [  # the newest first
            (STACK, "UPDATE_ROLLBACK_COMPLETE", ""),
            ("Other", failed, "Resource update cancelled"),
            ("Table", failed, "limit exceeded"),
            (STACK, BUSY, "User Initiated"),
            ("Api", failed, "in an update before"),
        ]
        names = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
        return [{"StackEvents": [dict(zip(names, event, strict=True))]} for event in events]


def run(project, stack, name, order, **more):
    """The named activity's answer."""
    activities = infrastructure(project, stack, **more)
    return ActivityEnvironment().run(getattr(activities, f"{name}_infrastructure"), order)


def test_stack_that_somebody_else_updates_is_waited_for(project):
    """A change set made meanwhile would be obsolete at once."""
    stack = ScriptedStack(
        statuses=[BUSY, BUSY, "UPDATE_COMPLETE"], executions=[GONE, "UNAVAILABLE"]
    )

    plan = run(project, stack, "plan", project.plan(project.commit()))

    assert plan.changes == ()
    assert stack.calls == ["look", "look", "look", "create", "delete"]


def test_stack_that_stays_busy_is_said(project):
    """Who promotes reads why, and what to do."""
    stack = ScriptedStack(statuses=[BUSY])

    with pytest.raises(ApplicationError) as raised:
        run(project, stack, "plan", project.plan(project.commit()), longest_wait_seconds=0)

    assert raised.value.message == (
        "somebody else is updating crypto-watch-prod, which is UPDATE_IN_PROGRESS; "
        "promote again when that has ended"
    )
    assert raised.value.non_retryable


def test_broken_stack_is_said(project):
    """No change set can be made of it."""
    stack = ScriptedStack(statuses=["UPDATE_ROLLBACK_FAILED"])

    with pytest.raises(ApplicationError) as raised:
        run(project, stack, "plan", project.plan(project.commit()))

    assert raised.value.message.endswith("it has to be repaired first")


def test_obsolete_change_set_is_made_anew(project):
    """AWS keeps what was overtaken, and says so."""
    stack = ScriptedStack(executions=["OBSOLETE", "UNAVAILABLE"])

    run(project, stack, "plan", project.plan(project.commit()))

    assert stack.calls == ["look", "delete", "create", "delete"]


def test_execution_of_an_obsolete_change_set_is_refused(project):
    """It is not what was approved any more."""
    stack = ScriptedStack(executions=["AVAILABLE", "OBSOLETE"])

    with pytest.raises(ApplicationError) as raised:
        run(project, stack, "execute", execute())

    assert stack.calls == ["execute"]
    assert "OBSOLETE" in raised.value.message


def test_failure_is_told_by_its_cause_alone(project):
    """Not by what was cancelled because of it, nor by what failed another time."""
    stack = ScriptedStack(executions=["EXECUTE_FAILED"], statuses=["UPDATE_ROLLBACK_COMPLETE"])

    with pytest.raises(ApplicationError) as raised:
        run(project, stack, "execute", execute())

    assert raised.value.message == "crypto-watch-prod was not changed: Table: limit exceeded"


@pytest.mark.parametrize(
    ("last", "status", "is_done"),
    [
        ("arn:aws:cloudformation:x:1:changeSet/promotion-1/2f", "UPDATE_COMPLETE", True),
        ("arn:aws:cloudformation:x:1:changeSet/promotion-1/2f", "UPDATE_ROLLBACK_COMPLETE", False),
        ("arn:aws:cloudformation:x:1:changeSet/promotion-11/2f", "UPDATE_COMPLETE", False),
        ("", "UPDATE_COMPLETE", False),
    ],
)
def test_change_set_that_is_not_known_any_more_is_judged_by_the_stack(
    project, last, status, is_done
):
    """The stack names the change set of its last update."""
    stack = ScriptedStack(statuses=[status], last=last)
    done = True

    try:
        run(project, stack, "execute", execute())
    except ApplicationError:
        done = False

    assert done is is_done

"""What the laptop's CloudFormation says and does beyond ministack's own, by AWS's documentation."""

from temporalio.testing import ActivityEnvironment

from release.change_set import Replacement
from tests.stacks.stack_parts import execute, infrastructure

THRESHOLD = ("Threshold: 10\n      ComparisonOperator", "Threshold: 20\n      ComparisonOperator")
PREFIX = "crypto-watch-backend-prod"


def plan(production, project, *changes):
    """Logical id → change."""
    activities = infrastructure(project, production.cloudformation)
    order = project.plan(project.commit(*changes))
    found = ActivityEnvironment().run(activities.plan_infrastructure, order)
    return {change.logical_id: change for change in found.changes}


def test_new_stack_has_its_alarms(production):
    """All three, also those of several metrics, before anybody is told that the stack is there."""
    assert production.alarms() == {
        f"{PREFIX}-lambda-errors": 5,
        f"{PREFIX}-api-5xx": 10,
        f"{PREFIX}-lambda-throttles": 10,
    }


def test_alarm_of_several_metrics_is_diffed_by_its_own_names(production, project):
    """Nothing of a stand-in shows."""
    found = plan(production, project, ("FILL(errors, 0) >= 3", "FILL(errors, 0) >= 4"))

    assert found["LambdaErrors"].type == "AWS::CloudWatch::Alarm"
    assert found["LambdaErrors"].details == ("Metrics",)


def test_reference_to_what_is_not_replaced_is_no_change(production, project):
    """The composite alarm names the other by `Ref`, which an update in place leaves as it is."""
    found = plan(production, project, THRESHOLD)

    assert found["Api5xx"].replacement is Replacement.NEVER
    assert "AnyRollbackAlarm" not in found


def test_renamed_alarm_is_replaced_and_so_named_in_the_composite_one(production, project):
    """AlarmName is one of the properties that AWS's schema calls create-only."""
    found = plan(production, project, ("-lambda-throttles\n      AlarmD", "-slow\n      AlarmD"))

    assert found["LambdaThrottles"].replacement is Replacement.ALWAYS
    assert found["AnyRollbackAlarm"].type == "AWS::CloudWatch::CompositeAlarm"


def test_alarm_that_a_template_drops_is_gone(production, project):
    """With the update, as its new threshold is there with it."""
    begin = project.text.index("  LambdaThrottles:\n")
    dropped = project.text[begin : project.text.index("  AnyRollbackAlarm:")]
    activities = infrastructure(project, production.cloudformation)
    plan(
        production,
        project,
        (dropped, ""),
        (' OR ALARM("${LambdaThrottles}")', ""),
        (', "${LambdaThrottles.Arn}"', ""),
        THRESHOLD,
    )

    ActivityEnvironment().run(activities.execute_infrastructure, execute())

    assert production.alarms() == {f"{PREFIX}-lambda-errors": 5, f"{PREFIX}-api-5xx": 20}

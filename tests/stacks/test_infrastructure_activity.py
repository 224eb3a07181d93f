"""A template as a change set of a real stack: planned, refused, executed, over HTTP."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from release.change_set import Action, Replacement
from release.infrastructure import forbidden, objections
from tests.stacks.stack_parts import API, STACK, execute, infrastructure

OWN_RETENTION = ("RetentionInDays: !Ref LogRetentionDays", "RetentionInDays: 60")
MEMORY = ("MemorySize: 256", "MemorySize: 512")
THRESHOLD = ("Threshold: 5", "Threshold: 6")
TABLE_NAME = ("TableName: !Sub ${Service}-${Environment}", "TableName: prices")
NO_ACCESS_LOGS = (
    (
        """  AccessLogs:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub /aws/apigateway/${Service}-${Environment}
      RetentionInDays: !Ref LogRetentionDays
""",
        "",
    ),
    ("        DestinationArn: !GetAtt AccessLogs.Arn\n", "        DestinationArn: none\n"),
)


def run(call, order):
    """The activity's answer."""
    return ActivityEnvironment().run(call, order)


def refusal(call, order) -> ApplicationError:
    """What it raises; a retry would change nothing."""
    with pytest.raises(ApplicationError) as raised:
        run(call, order)
    assert raised.value.non_retryable
    return raised.value


def direct(plan) -> dict[str, str]:
    """Logical id → text of the changes that are certain."""
    return {change.logical_id: change.text() for change in plan.changes if change.is_certain}


def test_plan_of_an_unchanged_template_leaves_no_change_set(production, project):
    """Nothing to approve, nothing to execute, nothing to clean up."""
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit()),
    )

    assert (plan.stack, plan.change_set, plan.changes) == (STACK, "", ())
    assert production.change_sets() == []


def test_plan_says_what_changes_with_its_values(production, project):
    """And what others do because of it, as CloudFormation sees it."""
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit(OWN_RETENTION, THRESHOLD)),
    )

    assert direct(plan) == {
        "ApiLogs": "Modify ApiLogs (AWS::Logs::LogGroup): RetentionInDays 14 → 60",
        "LambdaErrors": "Modify LambdaErrors (AWS::CloudWatch::Alarm): Threshold 5 → 6",
    }
    [role] = [change for change in plan.changes if change.logical_id == "ApiRole"]
    assert role.details == ("Policies if ApiLogs.Arn changes",)
    assert (objections(plan), forbidden(plan)) == ((), ())


def test_plan_made_twice_is_one_change_set(production, project):
    """A retry whose first attempt's answer was lost."""
    order = project.plan(project.commit(OWN_RETENTION))
    plan = infrastructure(project, production.cloudformation).plan_infrastructure

    assert run(plan, order) == run(plan, order)
    assert production.change_sets() == ["promotion-1"]


def test_plan_overtaken_by_another_update_is_made_anew(production, project):
    """What it then says is the difference to the stack as it is now."""
    activities = infrastructure(project, production.cloudformation)
    mine = project.plan(project.commit(OWN_RETENTION))
    run(activities.plan_infrastructure, mine)
    theirs = project.plan(project.commit(THRESHOLD), "promotion-2")
    run(activities.plan_infrastructure, theirs)
    run(activities.execute_infrastructure, execute("promotion-2"))

    plan = run(activities.plan_infrastructure, mine)

    assert set(direct(plan)) == {"ApiLogs", "LambdaErrors"}
    assert production.change_sets()[-1] == "promotion-1"


def test_replaced_table_and_removed_logs_are_objected_to(production, project):
    """By what CloudFormation says of them, not by their names."""
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit(TABLE_NAME, *NO_ACCESS_LOGS)),
    )

    [table] = [change for change in plan.changes if change.logical_id == "Table"]
    assert (table.action, table.replacement) == (Action.MODIFY, Replacement.ALWAYS)
    assert [text.partition(" (")[0] for text in objections(plan)] == [
        "Remove AccessLogs",
        "Modify Table",
    ]


@pytest.mark.parametrize(
    "change",
    [
        ("FunctionVersion: !GetAtt ApiFirstVersion.Version", "FunctionVersion: $LATEST"),
        ("IntegrationUri: !Ref ApiAlias", "IntegrationUri: !GetAtt ApiFunction.Arn"),
        ("FunctionName: !Sub ${Service}-api-${Environment}", "FunctionName: other"),
        ("Description: !Sub ${FirstVersion} ${FirstCommit}", "Description: another one"),
    ],
    ids=["alias", "integration", "function", "version"],
)
def test_template_that_moves_traffic_is_forbidden(production, project, change):
    """The alias, what the API asks, the function itself, the version behind the alias."""
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit(change)),
    )

    assert forbidden(plan)


def test_changed_default_keeps_the_stacks_own_value(production, project):
    """The environment's values are the environment's: a template brings none of them."""
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit(("    Default: 30\n", "    Default: 365\n"))),
    )

    assert plan.changes == ()


def test_new_parameter_comes_with_its_default(production, project):
    """The stack has no value of it yet."""
    new = ("Conditions:\n", "  Days:\n    Type: Number\n    Default: 7\n\nConditions:\n")
    use = ("RetentionInDays: !Ref LogRetentionDays", "RetentionInDays: !Ref Days")
    plan = run(
        infrastructure(project, production.cloudformation).plan_infrastructure,
        project.plan(project.commit(new, use)),
    )

    assert direct(plan)["ApiLogs"].endswith(
        "RetentionInDays 14 → 7, RetentionInDays as Days changes"
    )


def test_execution_changes_the_stack_and_no_traffic(production, project):
    """The alias is not even written; the next version has what the template says."""
    lambda_ = production.lambda_
    second = lambda_.publish_version(FunctionName=API)["Version"]
    lambda_.update_function_configuration(FunctionName=API, Description="of a promotion")
    second = lambda_.publish_version(FunctionName=API)["Version"]
    alias = lambda_.update_alias(FunctionName=API, Name="live", FunctionVersion=second)
    activities = infrastructure(project, production.cloudformation)
    run(activities.plan_infrastructure, project.plan(project.commit(MEMORY, THRESHOLD)))

    run(activities.execute_infrastructure, execute())

    assert production.status() == "UPDATE_COMPLETE"
    after = lambda_.get_alias(FunctionName=API, Name="live")
    assert (after["FunctionVersion"], after["RevisionId"]) == (second, alias["RevisionId"])
    assert lambda_.get_function_configuration(FunctionName=API)["MemorySize"] == 512
    before = lambda_.get_function_configuration(FunctionName=API, Qualifier=second)
    assert before["MemorySize"] == 256
    assert production.alarms()["crypto-watch-backend-prod-lambda-errors"] == 6


def test_execution_asked_for_twice_is_done_once(production, project):
    """A retry finds its own, finished."""
    activities = infrastructure(project, production.cloudformation)
    run(activities.plan_infrastructure, project.plan(project.commit(OWN_RETENTION)))
    run(activities.execute_infrastructure, execute())
    events = production.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]

    run(activities.execute_infrastructure, execute())

    again = production.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    assert len(again) == len(events)


def test_failed_execution_rolls_itself_back_and_says_why(production, project):
    """In CloudFormation's words; the stack is as it was, and can be planned for again."""
    clash = (
        "  # --- the price API ---",
        "  Clash:\n    Type: AWS::SSM::Parameter\n    Properties:\n"
        "      Name: !Sub /${Service}/taken\n      Type: String\n      Value: mine\n",
    )
    production.ssm.put_parameter(
        Name="/crypto-watch/taken", Value="theirs", Type="String", Overwrite=True
    )
    activities = infrastructure(project, production.cloudformation)
    run(activities.plan_infrastructure, project.plan(project.commit(clash, THRESHOLD)))

    error = refusal(activities.execute_infrastructure, execute())

    assert error.type == "NotExecuted"
    assert error.message.startswith("crypto-watch-prod was not changed: Clash: ")
    assert "already exists" in error.message
    assert production.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert production.alarms()["crypto-watch-backend-prod-lambda-errors"] == 5
    again = project.plan(project.commit(THRESHOLD), "promotion-2")
    assert set(direct(run(activities.plan_infrastructure, again))) == {"LambdaErrors"}


def test_execution_of_what_was_overtaken_is_refused(production, project):
    """The stack is another one than what was approved."""
    activities = infrastructure(project, production.cloudformation)
    run(activities.plan_infrastructure, project.plan(project.commit(OWN_RETENTION)))
    run(activities.plan_infrastructure, project.plan(project.commit(THRESHOLD), "promotion-2"))
    run(activities.execute_infrastructure, execute("promotion-2"))

    error = refusal(activities.execute_infrastructure, execute())

    assert error.message.endswith("the change set is gone: the stack was updated past it")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (("Conditions:\n", "  Days:\n    Type: Number\n\nConditions:\n"), "Days"),
        (("Conditions:\n", "Conditions: [\n"), "ormat error"),
        (("Type: AWS::SNS::Topic", "Type: AWS::SNS::Topik"), "AWS::SNS::Topik"),
    ],
    ids=["no-value", "no-yaml", "no-type"],
)
def test_template_that_cloudformation_refuses_is_said_in_its_words(
    production, project, broken, said
):
    """The developer reads what to mend."""
    order = project.plan(project.commit(broken))

    error = refusal(infrastructure(project, production.cloudformation).plan_infrastructure, order)

    assert error.type == "NoPlan"
    assert error.message.startswith("crypto-watch-prod cannot become what infra/template.yaml says")
    assert said in error.message


def test_commit_without_the_template_is_said(production, project):
    """The policy names what is not there."""
    sha = project.commit()
    order = project.plan(sha).model_copy(update={"template": "infra/other.yaml"})

    error = refusal(infrastructure(project, production.cloudformation).plan_infrastructure, order)

    assert "the commit has no infra/other.yaml" in error.message


def test_missing_stack_is_said(production, project):
    """It has to be created by a person, once."""
    sha = project.commit()
    order = project.plan(sha).model_copy(update={"stack": "crypto-watch-nowhere"})

    error = refusal(infrastructure(project, production.cloudformation).plan_infrastructure, order)

    assert error.message == "the stack crypto-watch-nowhere does not exist: create it first"


def test_discarded_change_set_is_gone_and_may_be_gone_already(production, project):
    """What nobody will execute does not stay for somebody's mistake."""
    activities = infrastructure(project, production.cloudformation)
    run(activities.plan_infrastructure, project.plan(project.commit(OWN_RETENTION)))

    for _ in range(2):
        run(activities.discard_infrastructure, execute())

    assert production.change_sets() == []

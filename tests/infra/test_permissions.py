"""Who may do what in AWS: exactly what the code does, read from the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from template_parts import INFRA, actions, statements, template

ROOT = INFRA.parent
SERVICES = (
    *("cloudformation", "cloudwatch", "codedeploy", "dynamodb", "events", "lambda", "logs", "s3"),
    *("secretsmanager", "ssm"),
)
IAM_NAMES = {
    "lambda:Invoke": {"lambda:InvokeFunction"},
    # the lock of an object that is there is told only to who may read it
    "s3:HeadObject": {"s3:GetObject", "s3:GetObjectRetention"},
    # without it S3 answers 403 for an object that is not there, which is no answer
    "s3:GetObject": {"s3:GetObject", "s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "dynamodb:TransactWriteItems": {
        *("dynamodb:ConditionCheckItem", "dynamodb:DeleteItem"),
        *("dynamodb:PutItem", "dynamodb:UpdateItem"),
    },
}
# CodeDeploy asks for these when a deployment is made: AWS's own page on permissions for it
UNSEEN = {
    *("codedeploy:GetApplicationRevision", "codedeploy:GetDeploymentConfig"),
    *("codedeploy:RegisterApplicationRevision", "iam:PassRole"),
}
# an administrator's commands, and the laptop's own
ADMINISTRATION = {"artifacts.py", "api_keys.py", "approvers.py", "laptop.py", "break_glass.py"}


def operations() -> dict[str, set[str]]:
    """boto3's method → the operations it may be, of the services that are used."""
    found: dict[str, set[str]] = {}
    session = botocore.session.get_session()
    for service in SERVICES:
        for name in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(name), set()).add(f"{service}:{name}")
    return found


def called(files: Iterator[Path]) -> set[str]:
    """Every operation whose method, or whose paginator, stands in one of the files."""
    known, found = operations(), set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            name = ""
            if isinstance(node, ast.Attribute):
                name = node.attr
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if node.func.attr == "get_paginator" and isinstance(first, ast.Constant):
                    name = str(first.value)
            found |= known.get(name, set())
    return found


def needed(operations: set[str]) -> set[str]:
    """What IAM calls them."""
    return {name for operation in operations for name in IAM_NAMES.get(operation, {operation})}


def test_worker_may_do_exactly_what_its_activities_call():
    """One call more in the code, or one permission more in the policy, fails here."""
    resources = template("account.yaml")["Resources"]
    allowed = actions(resources["WorkerPolicy"]) | actions(resources["WorkerCodeDeployPolicy"])

    files = (path for folder in ("activities", "release") for path in (ROOT / folder).rglob("*.py"))
    assert allowed - UNSEEN == needed(called(files))


def test_starter_may_do_exactly_what_its_commands_call():
    """Who starts promotions reads; the worker writes."""
    allowed = actions(template("account.yaml")["Resources"]["StarterPolicy"])

    files = (path for path in (ROOT / "cli").glob("*.py") if path.name not in ADMINISTRATION)
    reads = needed(called(files))
    assert reads <= allowed
    assert {name.split(":")[1][:3] for name in allowed} <= {"Get", "Lis", "Que"}


def test_break_glass_may_move_productions_alias_and_nothing_else():
    """The one write that a person makes without the worker."""
    [statement] = statements(template("account.yaml")["Resources"]["BreakGlassPolicy"])

    assert statement["Action"] == "lambda:UpdateAlias"
    assert statement["Resource"]["Fn::Sub"].endswith("function:${Service}-*-prod")


@pytest.mark.parametrize("name", ["account.yaml", "template.yaml"])
def test_no_policy_allows_everything(name):
    """No action with a star; a resource that is a star only where AWS knows no other."""
    starred = set()
    for resource in template(name)["Resources"].values():
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        assert not [action for action in actions(resource) if "*" in action]
        starred |= {s.get("Sid") for s in statements(resource) if s["Resource"] == "*"}
    assert starred <= {"Measure", "Template", "AccessLogs"}


def test_github_starts_promotions_from_the_release_branch_alone():
    """No long-lived key, and no pull request's run."""
    role = template("account.yaml")["Resources"]["GitHubRole"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject["Fn::Sub"] == "repo:${GitHubRepository}:ref:refs/heads/${GitHubBranch}"
    assert role["ManagedPolicyArns"] == [{"Ref": "StarterPolicy"}]


def test_stacks_may_make_no_role_stronger_than_their_functions():
    """A promoted template can change its environment's own roles, and none of the release's."""
    policy = template("account.yaml")["Resources"]["StackPolicy"]
    own = {f"role/${{Service}}-*-{environment}" for environment in ("staging", "prod")}

    for statement in statements(policy):
        named = (
            {statement["Action"]} if isinstance(statement["Action"], str) else statement["Action"]
        )
        if any(action.startswith("iam:") for action in named):
            found = {resource["Fn::Sub"].rpartition(":")[2] for resource in statement["Resource"]}
            assert found == own
    passing = [s for s in statements(policy) if s["Action"] == "iam:PassRole"]
    assert [s["Condition"] for s in passing] == [
        {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    ]


def test_worker_asks_cloudformation_for_the_environments_stacks_alone():
    """Not for the account's, in which its own role stands."""
    policy = template("account.yaml")["Resources"]["WorkerPolicy"]
    [stacks] = [s for s in statements(policy) if s.get("Sid") == "Stacks"]

    names = [resource["Fn::Sub"].partition("stack/")[2] for resource in stacks["Resource"]]
    assert names == ["${Service}-staging/*", "${Service}-prod/*"]

"""The environment's template: valid, and the same thing that the rules of `release/` speak of."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from template_parts import INFRA, actions, template

from infra.local.template import alarms, resolved, scheduled
from release.alarms import rollback_alarms

# CloudFormation's linter and SAM's translator pin an older pydantic than ours
BIN = Path(sys.prefix) / "envs/ministack/bin"
PYTHON, CFN_LINT = str(BIN / "python"), str(BIN / "cfn-lint")
TRANSLATE = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
template, parameters = json.load(sys.stdin)
json.dump(Translator({}, Parser()).translate(template, parameters), sys.stdout)
"""
VALUES = {"Service": "crypto-watch", "Environment": "prod", "AlarmPeriodSeconds": 60}


HELLO = "../examples/hello/infra/template.yaml"


@pytest.mark.parametrize("name", ["template.yaml", "account.yaml", HELLO])
def test_template_is_valid(name):
    """By AWS's own linter, every rule of it."""
    command = [CFN_LINT, str(INFRA / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_sam_translates_it():
    """To plain CloudFormation, as `sam deploy` has it translated."""
    made = template("template.yaml")
    order = json.dumps([made, dict.fromkeys(made["Parameters"], "x" * 64)])
    command = [PYTHON, "-c", TRANSLATE]
    environment = {"AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        command, input=order, capture_output=True, text=True, timeout=120, env=environment
    )

    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout)
    kinds = {resource["Type"] for resource in plain["Resources"].values()}
    assert "AWS::Lambda::Function" in kinds
    assert not [kind for kind in kinds if kind.startswith("AWS::Serverless")]


def test_no_yaml_alias_stands_in_a_template():
    """CloudFormation takes none: they only work where something resolves them first."""
    for name in ("template.yaml", "account.yaml", HELLO):
        assert not re.search(r"(?m)[:\-\[ ] ?[&*][a-z]+\b(?!\))", (INFRA / name).read_text())


@pytest.mark.parametrize(("name", "service"), [("template.yaml", "crypto-watch"), (HELLO, "hello")])
def test_alarms_are_those_that_releases_watch(name, service):
    """Preflight compares what stands in CloudWatch with these, field by field."""
    wanted = rollback_alarms(
        service, "prod", f"{service}-api-prod", "live", "HttpApi", period_seconds=60
    )

    assert alarms(template(name), VALUES | {"Service": service}) == wanted


def test_alarms_tell_the_topic():
    """Somebody hears of them."""
    resources = template("template.yaml")["Resources"].values()
    found = [r["Properties"] for r in resources if r["Type"] == "AWS::CloudWatch::Alarm"]

    assert [one["AlarmActions"] for one in found] == [[{"Ref": "AlarmTopic"}]] * 3


def test_guard_watches_the_flows_alarms_and_both_functions():
    """What it is told stands in its environment."""
    made = template("template.yaml")
    guard = made["Resources"]["GuardFunction"]["Properties"]
    told = resolved(guard["Environment"]["Variables"], made, VALUES)

    assert told["FUNCTIONS"] == "crypto-watch-api-prod,crypto-watch-fetcher-prod"
    assert told["ALARMS"].split(",") == [
        f"crypto-watch-backend-prod-{name}"
        for name in ("lambda-errors", "api-5xx", "lambda-throttles")
    ]


def test_stack_update_moves_no_traffic():
    """Promotions own the alias: no version of a stack publishes itself behind it."""
    resources = template("template.yaml")["Resources"]

    for resource in resources.values():
        assert "AutoPublishAlias" not in resource["Properties"]
        assert "DeploymentPreference" not in resource["Properties"]
    for name in ("Api", "Fetcher"):
        assert resources[f"{name}Alias"]["Properties"]["FunctionVersion"] == {
            "Fn::GetAtt": [f"{name}FirstVersion", "Version"]
        }


def test_data_outlives_the_stack():
    """The table, the logs and the versions that aliases serve are kept."""
    resources = template("template.yaml")["Resources"]
    kept = (
        "Table",
        "ApiLogs",
        "FetcherLogs",
        "GuardLogs",
        "ApiFirstVersion",
        "FetcherFirstVersion",
    )

    for name in kept:
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_functions_may_do_what_they_do_and_no_more():
    """Each has a role of its own."""
    resources = template("template.yaml")["Resources"]
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}

    assert actions(resources["ApiRole"]) - logs == {
        *("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem")
    }
    assert actions(resources["FetcherRole"]) - logs == {"dynamodb:GetItem", "dynamodb:PutItem"}
    assert actions(resources["GuardRole"]) - logs == {
        *("lambda:GetAlias", "lambda:UpdateAlias", "cloudwatch:DescribeAlarms")
    }


def test_schedule_of_a_service_is_read_from_its_template():
    """A new environment runs once what its schedule runs; the guard has no alias and waits."""
    assert scheduled(template("template.yaml"), VALUES) == ["crypto-watch-fetcher-prod"]
    assert scheduled(template(HELLO), VALUES) == []

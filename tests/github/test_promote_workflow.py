"""The GitHub Actions workflow: valid to GitHub's own parser, and with no right too many."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github_parts import NODE_ENVIRONMENT

from starter import parser
from tests.service.service_parts import ROOT

SOURCE = (ROOT / "infra/github/promote.yml").read_text()
PARSE = (Path(__file__).parent / "parse_workflow.mjs").read_text()


def parse(text: str) -> dict[str, Any]:
    """What GitHub's parser finds wrong, and the workflow if nothing is."""
    command = ["node", "--input-type=module", "--eval", PARSE]  # imports are found below cwd
    done = subprocess.run(
        command, input=text, cwd=NODE_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The workflow, parsed."""
    parsed = parse(SOURCE)
    assert parsed["errors"] == []
    found: dict[str, Any] = parsed["workflow"]
    return found


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """Every step of every job."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def strings(node: Any) -> Iterator[str]:
    """Every text in it."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    else:
        yield str(node)


@pytest.mark.parametrize(
    ("good", "bad", "error"),
    [
        ("branches: [main]", "branchs: [main]", "Unexpected value 'branchs'"),
        ("contents: read", "contents: reed", "Unexpected value 'reed'"),
        ("needs: promote", "needs: nobody", "nobody"),
        ("${{ vars.AWS_REGION }}", "${{ var.AWS_REGION }}", "Unrecognized named-value: 'var'"),
        ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", "run-on"),
    ],
)
def test_mistake_would_be_found(good, bad, error):
    """GitHub's parser is at work, and it reads more than YAML."""
    assert good in SOURCE

    assert error in "\n".join(parse(SOURCE.replace(good, bad))["errors"])


def test_only_a_push_to_main_starts_it(workflow):
    """No pull request and no fork reaches the secrets; nor does a release's merged changelog."""
    assert workflow["on"] == {"push": {"branches": ["main"], "paths-ignore": ["CHANGELOG.md"]}}


def test_each_job_has_exactly_the_rights_it_needs(workflow):
    """Nothing by default; the commit for both, and AWS's role for the one that starts."""
    rights = {name: job["permissions"] for name, job in workflow["jobs"].items()}

    assert workflow["permissions"] == {}
    assert rights == {
        "promote": {"contents": "read", "id-token": "write"},
        "approve": {"contents": "read"},
    }


def test_review_stands_before_the_approval_and_nowhere_else(workflow):
    """GitHub asks its reviewers for `production`; starting the promotion asks nobody."""
    approve, promote = workflow["jobs"]["approve"], workflow["jobs"]["promote"]

    assert (approve["environment"], approve["needs"]) == ("production", "promote")
    assert "environment" not in promote


def test_no_promotion_is_cancelled_by_another(workflow):
    """Every commit has a group of its own, and nothing in it is cancelled."""
    assert workflow["concurrency"] == {
        "group": "promote-${{ github.sha }}",
        "cancel-in-progress": False,
    }
    assert not any("concurrency" in job for job in workflow["jobs"].values())


def test_actions_are_pinned_and_leave_no_credentials(workflow):
    """Each action by its major version at least; the checkout keeps no token on disk."""
    used = [step for step in steps(workflow) if "uses" in step]
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout@")]

    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in used)
    assert len(checkouts) == 2
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_expressions_stand_in_no_script(workflow):
    """A script reads variables: neither a secret nor a title can become part of a command."""
    assert not any("${{" in step.get("run", "") for step in steps(workflow))


def test_secrets_reach_the_two_commands_only(workflow):
    """The one secret is in the environment of the steps that speak to Temporal."""
    places = [
        (step.get("name"), name)
        for step in steps(workflow)
        for name, value in step.get("env", {}).items()
        if "secrets." in value
    ]

    assert places == [("Promote", "TEMPORAL_API_KEY"), ("Approve", "TEMPORAL_API_KEY")]
    assert sum("secrets." in text for text in strings(workflow)) == len(places)


def test_commands_name_the_commit_and_the_run(workflow):
    """The CLI is called as it wants to be called."""
    commands = {step.get("name"): shlex.split(step.get("run", "")) for step in steps(workflow)}

    arguments = parser().parse_args(commands["Promote"][2:])
    assert (arguments.command, arguments.revision) == ("promote", "$GITHUB_SHA")
    assert arguments.name == "$GITHUB_ACTOR"
    assert commands["Approve"] == [
        *("python", "starter.py", "approve", "$GITHUB_SHA"),
        *("--github-run", "$GITHUB_RUN_ID"),
    ]

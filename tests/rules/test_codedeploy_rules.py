"""What CodeDeploy is told, and what is understood of its answers."""

from datetime import timedelta
from pathlib import Path

import pytest

from release.codedeploy import Deployment, planned_steps
from release.deployment_request import estimated_duration
from release.policy import PolicyError, Shift, Strategy, parse_policy

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/codedeploy"


def plan(name):
    steps = planned_steps(f"CodeDeployDefault.Lambda{name}")
    return [(step.canary_weight, step.min_duration.total_seconds() / 60) for step in steps]


def test_own_plans_of_codedeploy_are_understood():
    """Approvers are told how long it takes and how far a fault reaches."""
    assert plan("Canary10Percent5Minutes") == [(0.1, 5)]
    assert plan("Linear10PercentEvery1Minute") == [(n / 10, 1) for n in range(1, 10)]
    assert plan("Linear10PercentEvery10Minutes")[-1] == (0.9, 10)


@pytest.mark.parametrize("name", ["CodeDeployDefault.LambdaAllAtOnce", "ours-slowly"])
def test_plan_that_says_nothing_counts_as_all_at_once(name):
    """The worst is assumed of a plan of the account's own."""
    assert planned_steps(name) == ()


def test_estimate_has_codedeploys_time_and_the_bake():
    """Nine times a minute below 100 %, then the watch."""
    shift = Shift(strategy=Strategy.CODEDEPLOY, codedeploy_role=ROLE, bake="5m")

    assert estimated_duration(shift) == timedelta(minutes=14)


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        *(("Created", False), ("Queued", False), ("InProgress", False), ("Baking", False)),
        *(("Ready", False), ("Succeeded", True), ("Failed", True), ("Stopped", True)),
    ],
)
def test_every_status_is_under_way_or_over(status, is_over):
    """A status that nobody thought of is one that may still write."""
    assert Deployment(id="d-1", status=status).is_over is is_over


def test_rollback_with_our_description_is_not_our_deployment():
    """CodeDeploy's own rollback may copy the description."""
    back = {"rollbackTriggeringDeploymentId": "d-1"}
    info = {"deploymentId": "d-2", "status": "InProgress", "description": "p", "rollbackInfo": back}

    assert not Deployment.of(info).is_of("p")


def test_ending_without_a_reason_says_so():
    """Nothing is made up for CodeDeploy."""
    ending = Deployment(id="d-1", status="Failed").ending

    assert ending == "CodeDeploy deployment d-1 failed: CodeDeploy gave no reason"


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("", "release.toml: shift: codedeploy_role is empty: CodeDeploy needs the ARN of a role"),
        ("codedeploy", "release.toml: shift.codedeploy_role: String should match pattern"),
    ],
)
def test_codedeploy_without_its_role_is_refused(role, message):
    """One clear line before anything starts, and not CodeDeploy's after all the gates."""
    text = (ROOT / "release.toml").read_text()
    shift = f'[shift]\nstrategy = "codedeploy"\ncodedeploy_role = "{role}"\n'

    with pytest.raises(PolicyError, match=message):
        parse_policy(text[: text.index("[shift]")] + shift)

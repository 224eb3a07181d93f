"""The runbook leaves nothing out that can wake somebody."""

import pytest

from infra.local.template import read_template, resolved
from release.alarms import alarm_prefix, canary_alarm_name
from release.checklist import Answer
from release.promotion import Outcome, Stage
from tests.docs.documented import ROOT

RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
NEVER_STUCK = {Stage.STAGING, Stage.PRODUCTION, Stage.BAKE, Stage.DONE}
GOOD = {Outcome.COMPLETED}
NOTHING_TO_DO = {Answer.PASSED, Answer.FAILED, Answer.NOT_APPLICABLE, Answer.WAIVED}


def alarms() -> list[str]:
    """Every alarm that there can be in production."""
    template = read_template()
    values = {"Service": "crypto-watch", "Environment": "prod"}
    names = [
        str(resolved(one["Properties"]["AlarmName"], template, values))
        for one in template["Resources"].values()
        if one["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    ]
    return [*names, canary_alarm_name("crypto-watch", "prod")]


@pytest.mark.parametrize("name", alarms())
def test_every_alarm_is_explained(name: str) -> None:
    """Whoever gets its mail finds what it means and who acts."""
    prefix = alarm_prefix("crypto-watch", "prod")

    assert f"| `…{name.removeprefix(prefix)}` |" in RUNBOOK


@pytest.mark.parametrize("state", sorted({*Stage, *Outcome} - NEVER_STUCK - GOOD))
def test_every_state_in_which_a_promotion_can_stand_is_explained(state: str) -> None:
    """A stage that waits for somebody, or an end that is not the good one."""
    assert f"`{state}`" in RUNBOOK


@pytest.mark.parametrize("answer", sorted(set(Answer) - NOTHING_TO_DO))
def test_every_answer_that_holds_a_checklist_up_is_explained(answer: str) -> None:
    """What is neither done nor failed waits for somebody."""
    assert f"*{answer}*" in RUNBOOK


@pytest.mark.parametrize(
    "command",
    [
        *("aws deploy get-deployment", "aws deploy stop-deployment", "--auto-rollback-enabled"),
        *("aws cloudwatch describe-alarms", "sam deploy", "aws lambda update-alias"),
    ],
)
def test_the_flows_own_commands_are_there(command: str) -> None:
    """Beside each stands the command of ours that does the same."""
    assert command in RUNBOOK

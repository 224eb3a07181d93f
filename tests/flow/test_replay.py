"""Recorded promotions, replayed: a change of the workflow must not strand those that run.

A change of the flow on purpose is recorded anew by `make histories`; see the promotions that are
under way through first, or keep their way by `workflow.patched`.
"""

import base64
import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from release.promotion import Outcome
from workflows.promotion import PromotionWorkflow

ROOT = Path(__file__).parents[2]
HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_recorded_promotion_replays(file):
    """Today's workflow makes the decisions that it made when the history was recorded."""
    await _replay(file.read_text())


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_history(outcome):
    """No way for a promotion to end is left out of the replay."""
    assert outcome in {_outcome(file.read_text()) for file in HISTORIES}


def test_cancellation_by_temporal_has_a_history():
    """Cancelled and aborted share an outcome; each way there is replayed."""
    last_events = {json.loads(file.read_text())["events"][-1]["eventType"] for file in HISTORIES}

    assert "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED" in last_events


async def test_changed_activity_name_is_noticed(histories_dir):
    """The replay is no rubber stamp: a renamed activity breaks it."""
    recorded = (histories_dir / "completed.json").read_text()

    with pytest.raises(NondeterminismError):
        await _replay(recorded.replace('"shift_traffic"', '"move_traffic"'))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_history_names_no_machine(file):
    """A recording says nothing of where it was made: no path, no process and host."""
    recorded = file.read_text()

    assert str(ROOT) not in recorded
    assert re.findall(r"\d+@", recorded) == []


async def _replay(recorded: str) -> None:
    replayer = Replayer(workflows=[PromotionWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json("promotion/recorded", recorded))


def _outcome(recorded: str) -> Outcome:
    """What the promotion said of its end, by its search attribute."""
    said = [
        attributes["searchAttributes"]["indexedFields"]["ReleaseOutcome"]["data"]
        for event in json.loads(recorded)["events"]
        if (attributes := event.get("upsertWorkflowSearchAttributesEventAttributes"))
        and "ReleaseOutcome" in attributes["searchAttributes"]["indexedFields"]
    ]
    return Outcome(json.loads(base64.b64decode(said[-1])))

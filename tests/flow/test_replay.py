"""Recorded workflows, replayed: a change of the flow must not strand those that run.

docs/changing-a-workflow.md says what to do when one of these fails.
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
from tests.flow import recordings
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.incident import IncidentWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow
from workflows.versioning import AUTO_UPGRADE

ROOT = Path(__file__).parents[2]
WORKFLOWS = [
    PromotionWorkflow,
    ProductionLaneWorkflow,
    RollbackWorkflow,
    RecordWorkflow,
    DeploymentRecordWorkflow,
    IncidentWorkflow,
]
_OTHERS = ("production_lane", "rollback", "record", "deployment_record", "incident")
OTHERS = {f"{name}.json.gz" for name in _OTHERS}
HISTORIES = recordings.files()
PROMOTIONS = [file for file in recordings.files(recordings.CURRENT) if file.name not in OTHERS]


@pytest.mark.parametrize("file", HISTORIES, ids=recordings.name_of)
async def test_recorded_workflow_replays(file):
    """Today's workflow makes the decisions that it made when the history was recorded."""
    await _replay(recordings.read(file))


def test_every_workflow_that_goes_over_to_a_new_build_has_a_history():
    """What a new build has to go on with is replayed."""
    kinds = {_kind(recordings.read(file)) for file in recordings.files(recordings.CURRENT)}

    assert kinds >= AUTO_UPGRADE


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_history(outcome):
    """No way for a promotion to end is left out of the replay."""
    assert outcome in {_outcome(recordings.read(file)) for file in PROMOTIONS}


def test_cancellation_by_temporal_has_a_history():
    """Cancelled and aborted share an outcome; each way there is replayed."""
    last_events = {
        json.loads(recordings.read(file))["events"][-1]["eventType"] for file in PROMOTIONS
    }

    assert "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED" in last_events


async def test_changed_activity_name_is_noticed():
    """The replay is no rubber stamp: a renamed activity breaks it."""
    recorded = recordings.current("completed")

    with pytest.raises(NondeterminismError):
        await _replay(recorded.replace('"shift_traffic"', '"move_traffic"'))


@pytest.mark.parametrize("file", HISTORIES, ids=recordings.name_of)
def test_history_names_no_machine(file):
    """A recording says nothing of where it was made: no path, no process and host."""
    recorded = recordings.read(file)

    assert str(ROOT) not in recorded
    assert re.findall(r"\d+@", recorded) == []


async def _replay(recorded: str) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json("promotion/recorded", recorded))


def _kind(recorded: str) -> str:
    begun = json.loads(recorded)["events"][0]["workflowExecutionStartedEventAttributes"]
    return str(begun["workflowType"]["name"])


def _outcome(recorded: str) -> Outcome:
    """What the promotion said of its end, by its search attribute."""
    said = [
        attributes["searchAttributes"]["indexedFields"]["ReleaseOutcome"]["data"]
        for event in json.loads(recorded)["events"]
        if (attributes := event.get("upsertWorkflowSearchAttributesEventAttributes"))
        and "ReleaseOutcome" in attributes["searchAttributes"]["indexedFields"]
    ]
    return Outcome(json.loads(base64.b64decode(said[-1])))

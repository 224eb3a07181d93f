"""Every cell of the guide's missing-data tables, over HTTP: real datapoints, a real alarm.

Each alarm is put into a state by hand first, into both in turn, so that a state that is retained
cannot be mistaken for one that was judged, nor the other way round.
"""

from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.local.cloudwatch_parts import alarm, described, minute, put, state_becomes
from tests.local.missing_data_table import CELLS, RETAIN, Cell

pytest_plugins = ["tests.local.cloudwatch_fixtures"]

BEFORE = ("OK", "ALARM")
VALUES = {"0": 0.0, "X": 10.0}


class Judged(NamedTuple):
    """The states that all cells' alarms came to; by cell and by what it was before."""

    states: dict[tuple[Cell, str], str]


def _judge(cloudwatch: Any, namespace: str) -> Judged:
    start = minute(5)
    for points in {cell.points for cell in CELLS}:
        for at, point in enumerate(points):
            if point in VALUES:
                when, named = minute(5 - at), f"{namespace}/{points}"
                put(cloudwatch, named, when, Value=VALUES[point])
    names = {}
    for number, cell in enumerate(CELLS):
        for before in BEFORE:
            name = names[cell, before] = f"{namespace}-{number:02}-{before}"
            cloudwatch.put_metric_alarm(
                **alarm(
                    f"{namespace}/{cell.points}",
                    AlarmName=name,
                    EvaluationPeriods=cell.n,
                    DatapointsToAlarm=cell.m,
                    TreatMissingData=cell.treatment,
                )
            )
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=before, StateReason="a test")
    _evaluated(cloudwatch, namespace)
    states = {key: described(cloudwatch, name)["StateValue"] for key, name in names.items()}
    cloudwatch.delete_alarms(AlarmNames=list(names.values()))
    if minute(5) != start:  # the points have aged by a period meanwhile
        return _judge(cloudwatch, f"{namespace}again")
    return Judged(states)


def _evaluated(cloudwatch: Any, namespace: str) -> None:
    """All alarms have been evaluated: one that was put after them has, and that is done at once."""
    last = f"{namespace}-last"
    cloudwatch.put_metric_alarm(
        **alarm(f"{namespace}/none", AlarmName=last, TreatMissingData="breaching")
    )
    state_becomes(cloudwatch, last, "ALARM")
    cloudwatch.delete_alarms(AlarmNames=[last])


@pytest.fixture(scope="module")
def judged(cloudwatch: Any) -> Judged:
    """Every cell's two alarms, evaluated within one minute."""
    return _judge(cloudwatch, f"Missing{uuid4().hex[:8]}")


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_alarm_with_missing_data_is_as_the_guide_prints(
    judged: Judged, cell: Cell, before: str
) -> None:
    """The alarm stands in the printed state, or in the one it had where that is retained."""
    expected = before if cell.state == RETAIN else cell.state
    assert judged.states[cell, before] == expected


def test_every_cell_was_judged(judged: Judged) -> None:
    """Eleven rows, four treatments, two states before."""
    assert len(judged.states) == 11 * 4 * 2

"""The states of metric and composite alarms, against the tables of the CloudWatch user guide."""

import pytest

from infra.local.cloudwatch.alarm_rules import alarm_state, alarms_in, rule_holds
from infra.local.cloudwatch.errors import ValidationError
from tests.local.missing_data_table import CELLS, RETAIN, Cell

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def state_of(points: str, n: int, m: int, treatment: str, current: str = RETAIN) -> str:
    values = [{"0": 0.0, "X": 1.0, "-": None}[point] for point in points]
    return alarm_state(values, n, m, lambda value: value > 0.5, treatment, current)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_alarm_state_matches_the_user_guide(cell: Cell) -> None:
    """Every cell of the guide's two tables comes out as printed there."""
    assert state_of(cell.points, cell.n, cell.m, cell.treatment) == cell.state


def test_there_are_44_cells() -> None:
    """No row of the tables has been lost."""
    assert len(CELLS) == 44


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_enough_real_points_make_the_treatment_irrelevant(treatment: str) -> None:
    """With N real points in range the newest N decide, however many are missing between."""
    assert state_of("X0-0-", 2, 1, treatment) == "OK"
    assert state_of("0X-X-", 2, 2, treatment) == "ALARM"


def test_lone_breach_becomes_an_alarm_once_it_is_m_periods_old() -> None:
    """A fresh breach followed by silence is believed only at the age of M periods."""
    states = [state_of(points, 3, 3, "missing") for points in ("----X", "---X-", "--X--")]
    assert states == ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "ALARM"]


def test_m_breaches_are_an_alarm_even_when_n_points_are_not_there() -> None:
    """Two breaches suffice for 2 of 3 while the third point is missing."""
    assert {state_of("---XX", 3, 2, treatment) for treatment in TREATMENTS} == {"ALARM"}


STATES = {"errors": "ALARM", "busy-hours": "OK", "p99 (slow)": "INSUFFICIENT_DATA", "a": "OK"}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("errors")', True),
        ("ALARM(busy-hours)", False),
        ('ALARM(\'a\') OR ALARM("errors") AND NOT ALARM("busy-hours")', True),
        ('(ALARM("a") OR ALARM("errors")) AND ALARM("busy-hours")', False),
        ('INSUFFICIENT_DATA("p99 (slow)")', True),
        ('NOT (OK("a") AND OK("errors"))', True),
        ('ALARM("arn:aws:cloudwatch:eu-west-1:000000000000:alarm:errors")', True),
        ('ALARM("gone") OR OK("gone") OR INSUFFICIENT_DATA("gone")', False),
        ("TRUE AND NOT FALSE", True),
    ],
)
def test_composite_rule_holds(rule: str, holds: bool) -> None:
    """AND binds tighter than OR, NOT tightest; names may be quoted, bare or ARNs."""
    assert rule_holds(rule, STATES) is holds


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "ALARM(",
        "BROKEN('a')",
        "ALARM('a') OR 1",
        "TRUE OR __import__('os')",
        "ALARM('a', 'b')",
        "ALARM('a').b",
        "FALSE AND ALARM(name='a')",
        "NOT " * 2000 + "TRUE",
        "NOT " * 700 + "TRUE",
    ],
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    """Nothing but the documented rule language passes, whatever Python would make of it."""
    with pytest.raises(ValidationError):
        alarms_in(rule)


def test_rule_names_its_alarms() -> None:
    """Every alarm that a rule reads is found, by name, once."""
    rule = 'ALARM("a") OR (OK("arn:aws:cloudwatch:r:0:alarm:b") AND NOT ALARM(c-d)) OR OK("a")'
    assert alarms_in(rule) == {"a", "b", "c-d"}

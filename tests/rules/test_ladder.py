"""The ladders: where they begin, how they grow, when they may climb on."""

from datetime import timedelta
from itertools import pairwise

import pytest

from release.ladder import (
    again,
    comparable_rung,
    first_weight,
    next_rung,
    rungs,
    time_to_full,
    wanted_requests,
)
from release.policy import Shift, ShiftStep, Strategy

MINUTE = timedelta(minutes=1)
CLIMBS = [Strategy.LINEAR, Strategy.CANARY, Strategy.ADAPTIVE]


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("rate", [None, 0.2, 10, 1000])
def test_every_ladder_grows_and_ends_with_the_bake(strategy, rate):
    """No weight twice, none back; the last is all traffic, for the bake."""
    ladder = rungs(
        Shift(strategy=strategy, codedeploy_role="arn:aws:iam::000000000000:role/cd"), rate
    )
    weights = [rung.canary_weight for rung in ladder]

    assert weights == sorted(set(weights))
    assert weights[-1] == 1
    assert ladder[-1].min_duration == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("rate", "weight"), [(None, 0.02), (0.2, 0.02), (50, 0.01), (100, 0.005), (10_000, 0.001)]
)
def test_ladder_begins_with_five_requests_in_ten_seconds(rate, weight):
    """At most 2 %, at least what the policy allows."""
    assert first_weight(Shift(), rate) == pytest.approx(weight)


@pytest.mark.parametrize("rate", [None, 1, 100, 10_000])
def test_linear_is_never_ahead_of_ten_percent_a_minute(rate):
    """The flow's plan is the upper bound, in every minute, and is done in its nine minutes."""
    passed = timedelta(0)
    for rung in rungs(Shift(), rate)[:-1]:
        passed += rung.min_duration
        assert rung.canary_weight <= 0.1 * -(-passed // timedelta(minutes=1)) + 1e-9
    assert passed == timedelta(minutes=9)


def test_adaptive_grows_by_a_constant_factor():
    """The same factor at every step, within its total time."""
    shift = Shift(strategy="adaptive")
    weights = [rung.canary_weight for rung in rungs(shift, 100)]
    factors = [after / before for before, after in pairwise(weights)]

    assert max(factors) / min(factors) < 1.05
    assert time_to_full(shift) == timedelta(minutes=9)


def test_canary_holds_its_first_weight():
    """10 % for five minutes, then all of it."""
    ladder = rungs(Shift(strategy="canary"))

    assert (ladder[-2].canary_weight, ladder[-2].min_duration) == (0.1, timedelta(minutes=5))


def test_versions_are_compared_at_half_of_the_traffic():
    """The highest rung that leaves the old version as much as the new one."""
    ladder = rungs(Shift())

    assert ladder[comparable_rung(ladder)].canary_weight == 0.5
    assert comparable_rung(rungs(Shift(strategy="all_at_once"))) is None


def test_rung_that_was_served_is_not_served_again():
    """After a step back one bucket is enough; a shorter rung stays as short."""
    bucket = timedelta(seconds=5)

    assert again(ShiftStep(canary_weight=0.3, min_duration=MINUTE), bucket).min_duration == bucket
    short = ShiftStep(canary_weight=0.3, min_duration=timedelta(seconds=1))
    assert again(short, bucket) == short


def test_step_back_never_leaves_the_ladder():
    """From the first rung there is no way down."""
    assert next_rung(0, step_back=True) == 0
    assert next_rung(3, step_back=True) == 2
    assert next_rung(3, step_back=False) == 4


@pytest.mark.parametrize(
    ("weight", "wanted"), [(0.05, 0), (0.1, 20), (0.49, 20), (0.5, 60), (1.0, 60)]
)
def test_higher_weights_want_more_judged_requests(weight, wanted):
    """20 before 10 % of the traffic, 60 before half of it."""
    assert wanted_requests(Shift(), weight) == wanted

"""The sequential test: its reference values, and what its guarantee rests on."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.sequential import (
    CRASHED,
    FAILED,
    SLOW,
    VERY_SLOW,
    Pair,
    SequentialTest,
    _likelihood_ratio,
    metrics,
    route_metric,
)

# as the reference values were computed: without a metric of crashes
THREE = (FAILED._replace(share=0.8), SLOW, VERY_SLOW)
TESTED = metrics()


def add(test: SequentialTest, tested, weight, failed: Pair) -> float:
    """One bucket in which only requests failed; the evidence after it."""
    for metric in tested:
        quiet = failed._replace(canary_events=0, baseline_events=0)
        test.add(metric, weight, failed if metric.name == FAILED.name else quiet)
    return test.strength(tested)


@pytest.mark.parametrize(
    ("ratio", "share", "pair", "expected"),
    [
        (200, 0.01, Pair(1, 99, 1, 0), 66.889632),
        (200, 0.1, Pair(2, 18, 2, 0), 91.572995),
        (3, 0.5, Pair(3, 1, 3, 1), 1.6875),
    ],
)
def test_likelihood_ratio_is_the_coin_flips(ratio, share, pair, expected):
    """Worked out by hand: (theta / (theta s + 1 - s)) to the power of the canary's failures."""
    assert _likelihood_ratio(ratio, 1.0, share, pair) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("ratio", [1.3, 5, 200])
@pytest.mark.parametrize("events", [1, 2, 7])
def test_mean_of_the_likelihood_ratio_is_one(share, ratio, events):
    """Summed over every way in which the failures can fall on a canary that is not worse."""
    mean = sum(
        math.comb(events, x)
        * share**x
        * (1 - share) ** (events - x)
        * _likelihood_ratio(ratio, 1.0, share, Pair(0, 0, x, events - x))
        for x in range(events + 1)
    )
    assert mean == pytest.approx(1)


def test_reference_run_at_ten_percent():
    """Three buckets of 5 and 45 requests, one canary failure in each: over 100 at the third."""
    test = SequentialTest()
    seen = [add(test, THREE, 0.1, Pair(5, 45, 1, 0)) for _ in range(3)]

    assert seen == pytest.approx([3.445954, 23.071385, 191.858027], abs=1e-5)


def test_reference_run_at_one_and_two_percent():
    """A few requests, with failures of both versions."""
    test = SequentialTest()
    buckets = [
        (0.01, Pair(3, 297, 0, 0)),
        (0.01, Pair(2, 310, 1, 0)),
        (0.02, Pair(6, 290, 0, 1)),
        (0.02, Pair(7, 288, 2, 0)),
    ]
    seen = [add(test, THREE, weight, pair) for weight, pair in buckets]

    assert seen == pytest.approx([1, 14.393066, 4.790365, 3017.697362], abs=1e-5)


@pytest.mark.parametrize(
    ("weight", "failures"), [(0.01, 2), (0.02, 2), (0.05, 3), (0.1, 3), (0.2, 4), (0.5, 9)]
)
def test_smaller_weights_need_fewer_failures(weight, failures):
    """With a spotless baseline: two at one in a hundred, nine at half."""
    test, count = SequentialTest(), 0
    while test.worst(THREE) is None:
        add(test, THREE, weight, Pair(1, 0, 1, 0))
        count += 1

    assert count == failures


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500)), max_size=40))
def test_no_failures_are_no_evidence(buckets):
    """Whatever the traffic does, down to none at all."""
    test = SequentialTest()
    for canary, baseline in buckets:
        assert add(test, TESTED, 0.1, Pair(canary, baseline, 0, 0)) == pytest.approx(1)


def test_incident_that_both_versions_share_is_no_evidence():
    """Half of all requests fail on both for two minutes."""
    test = SequentialTest()
    strongest = max(add(test, TESTED, 0.1, Pair(50, 450, 25, 225)) for _ in range(24))

    assert strongest < 2
    assert test.worst(TESTED) is None


def test_healthy_versions_are_hardly_ever_rolled_back():
    """500 releases of ten minutes at 1 % errors: at most one in a hundred comes back."""
    dice, back = random.Random(5), 0
    for _ in range(500):
        test = SequentialTest()
        for _ in range(120):
            failures = sum(dice.random() < 0.01 for _ in range(50))
            canary = sum(dice.random() < 0.1 for _ in range(failures))
            add(test, TESTED, 0.1, Pair(5, 45, canary, failures - canary))
            if test.worst(TESTED):
                back += 1
                break
    assert back <= 5


def test_harm_too_small_to_matter_is_no_reason():
    """A difference of a twentieth of a point, however sure one is of it."""
    test = SequentialTest()
    for _ in range(200):
        add(test, TESTED, 0.5, Pair(20_000, 20_000, 20, 10))

    assert test.strength(TESTED) > 100
    assert test.worst(TESTED) is None


def test_route_that_fails_is_named():
    """One of three routes is dead: it is found by its own metric, and named."""
    tested = metrics(("/a", "/b", "/c"))
    test = SequentialTest()
    for _ in range(3):
        add(test, tested, 0.02, Pair(10, 490, 0, 0))
        dead = next(m for m in tested if m.name == route_metric("/b"))
        test.add(dead, 0.02, Pair(2, 50, 2, 0))

    worst = test.worst(tested)
    assert worst is not None
    assert worst.text == "requests of /b failed"


def test_shares_of_alpha_add_up_to_one():
    """The guarantee is for all metrics together, with routes and without."""
    for routes in ((), ("/a",), ("/a", "/b", "/c")):
        assert sum(metric.share for metric in metrics(routes)) == pytest.approx(1)
    assert {FAILED, CRASHED, SLOW, VERY_SLOW} == set(TESTED)


def test_suspicion_needs_evidence_that_grows():
    """One chance failure over a spotless baseline does not take a step back again and again."""
    test = SequentialTest()
    add(test, TESTED, 0.01, Pair(5, 495, 1, 0))
    assert test.tick(TESTED)

    backs = 0
    for _ in range(120):
        add(test, TESTED, 0.01, Pair(5, 495, 0, 0))
        backs += test.tick(TESTED)

    assert backs <= 6

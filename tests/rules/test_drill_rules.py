"""The rollback drill's rules: what is passed, what is stale, what counts for a policy."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from release.drill import (
    DrillRequest,
    DrillResult,
    counts_for,
    drill_objection,
    drilled_environment,
    judge_drill,
    last_drill_text,
)
from release.policy import Drill, PolicyError, parse_policy

PROJECT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Drill(required=True)
REQUEST = DrillRequest(
    service="crypto-watch",
    environment="staging",
    function="crypto-watch-api-staging",
    alias="live",
    bucket="artifacts",
    max_seconds=60,
    requested_by="dora",
)
GOOD = DrillResult(
    environment="staging",
    at=NOW - timedelta(hours=3),
    baseline="4",
    seconds=2.4,
    passed=True,
    reason="2.4 s from alarm to 100 % baseline",
)
UNSEEN = GOOD.model_copy(
    update={"seconds": None, "passed": False, "reason": "nobody saw the alarm within 60 s"}
)


def aged(**age):
    """The good drill, so old."""
    return GOOD.model_copy(update={"at": NOW - timedelta(**age)})


@pytest.fixture
def policy_text():
    """The project's own policy with another `[drill]`, or none."""
    whole = (PROJECT / "release.toml").read_text()
    before, _, rest = whole.partition("[drill]\n")
    after = rest[rest.index("\n# ") :]
    return lambda drill: before + (f"[drill]\n{drill}\n" if drill else "") + after


@pytest.mark.parametrize(("seconds", "passed"), [(2.4, True), (60, True), (60.001, False)])
def test_drill_passes_up_to_its_limit(seconds, passed):
    """Exactly the limit is still in time."""
    result = judge_drill(REQUEST, NOW, "4", timedelta(seconds=seconds))

    assert result.passed is passed
    assert result.seconds == seconds


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (None, ""),
        (GOOD, "3 h ago in staging: 2.4 s from alarm to 100 % baseline, passed"),
        (UNSEEN, "3 h ago in staging: not passed, nobody saw the alarm within 60 s"),
        (
            aged(days=17),
            "17 d ago (stale) in staging: 2.4 s from alarm to 100 % baseline, passed",
        ),
        (aged(days=14), "14 d ago in staging: 2.4 s from alarm to 100 % baseline, passed"),
        (aged(hours=47), "47 h ago in staging: 2.4 s from alarm to 100 % baseline, passed"),
        (aged(seconds=61), "1 min ago in staging: 2.4 s from alarm to 100 % baseline, passed"),
        (aged(seconds=-5), "0 s ago in staging: 2.4 s from alarm to 100 % baseline, passed"),
    ],
)
def test_last_drill_is_one_line_for_the_approvers(last, text):
    """When, where, the figure, the verdict; and whether that is too long ago."""
    assert last_drill_text(last, NOW, POLICY) == text


@pytest.mark.parametrize("last", [GOOD, aged(days=14)])
def test_good_drill_is_no_objection(last):
    """Passed and not older than `stale_after`."""
    assert drill_objection(last, NOW, POLICY) == ""


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (None, "no rollback drill was ever run"),
        (UNSEEN, "did not pass (nobody saw the alarm within 60 s)"),
        (aged(days=14, seconds=1), "is 14 d old, over 14 d"),
    ],
)
def test_missing_failed_or_stale_drill_is_an_objection_with_what_to_do(last, says):
    """The developer reads the next command."""
    objection = drill_objection(last, NOW, POLICY)

    assert says in objection
    assert "`starter.py drill --environment staging`, then promote again" in objection


def test_environment_of_a_scheduled_drill_is_known():
    """The schedule puts its time behind the id."""
    scheduled = f"{REQUEST.workflow_id}-2026-03-01T12:00:00Z"

    assert drilled_environment("crypto-watch", scheduled) == "staging"
    assert drilled_environment("crypto-watch", REQUEST.workflow_id) == "staging"


def test_production_counts_for_staging_and_not_the_other_way_round():
    """What was drilled where it matters is never less."""
    assert counts_for("staging", "prod")
    assert counts_for("staging", "staging")
    assert not counts_for("prod", "staging")


def test_policy_without_a_drill_has_the_defaults(policy_text):
    """An old release.toml is still good: shown, and not required."""
    assert parse_policy(policy_text("")).drill == Drill()
    assert not Drill().required


@pytest.mark.parametrize(
    ("drill", "says"),
    [
        ('environment = "moon"', "drill.environment"),
        ('every = "0s"', "drill.every"),
        ('every = "7d"\nstale_after = "6d"', "stale_after is shorter than every"),
        ("max_seconds = 0", "drill.max_seconds"),
    ],
)
def test_impossible_drill_is_refused(policy_text, drill, says):
    """One clear line before anything starts."""
    with pytest.raises(PolicyError, match=says):
        parse_policy(policy_text(drill))


def test_compressed_clock_leaves_the_drill_as_it_is():
    """Alarm and rollback are not faster because a ladder is."""
    policy = parse_policy((PROJECT / "release.toml").read_text())

    assert policy.compressed(60).drill == policy.drill

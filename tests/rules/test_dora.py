"""DORA's four figures, by rules on the record alone."""

from datetime import UTC, datetime, timedelta

import pytest

from release.deployment import Change, Deployment, DeploymentStatus, Rung
from release.dora import dora

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def deployed(
    version: str, at: datetime | None, *changes: tuple[str, datetime], **facts
) -> Deployment:
    """A version with what it was told to be, and when."""
    told = [Change(at=moment, status=DeploymentStatus(status)) for status, moment in changes]
    return Deployment(
        environment="prod",
        version=version,
        git_commit=version,
        deployed_at=at,
        status=told[-1].status,
        changes=tuple(told),
        **facts,
    )


def good(version: str, at: datetime) -> Deployment:
    return deployed(version, at, ("active", at))


def bad(version: str, at: datetime, *verdicts: str) -> Deployment:
    """It climbed a rung a minute, and was back half a minute after the last began."""
    ramp = tuple(
        Rung(weight=0.1 * (n + 1), at=at + n * MINUTE, verdict=verdict)
        for n, verdict in enumerate(verdicts)
    )
    back = at + (len(verdicts) - 1) * MINUTE + timedelta(seconds=30)
    return deployed(version, at, ("rolled_back", back), ramp=ramp)


def of(*deployments: Deployment, committed=None, days: int = 10):
    return dora("crypto-watch", deployments, committed or {}, AT, AT + days * DAY)


def test_frequency_counts_what_came_to_serve():
    """Three in ten days are 0.3 a day; one that went back on its way up is not among them."""
    found = of(*(good(name, AT + HOUR) for name in "abc"), bad("d", AT + HOUR, "failed"))

    assert found.per_day == pytest.approx(0.3)


def test_failure_rate_is_of_all_that_met_users():
    """One of four went back: a quarter."""
    found = of(*(good(name, AT + HOUR) for name in "abc"), bad("d", AT + HOUR, "failed"))

    assert (found.failed, found.deployments, found.failure_rate) == (1, 4, 0.25)


def test_version_that_served_and_went_back_counts_in_both():
    """A manual rollback after the end is a failed change of a release that did serve."""
    one = deployed("a", AT, ("active", AT), ("rolled_back", AT + 2 * HOUR))
    found = of(one)

    assert (found.per_day, found.failure_rate, found.restore_time) == (0.1, 1.0, 2 * HOUR)


def test_version_that_came_back_stays_a_failed_change():
    """That it serves again later does not undo that it once had to go."""
    found = of(deployed("a", AT, ("rolled_back", AT + HOUR), ("active", AT + DAY)))

    assert found.failed == 1


def test_lead_time_is_the_median_from_commit_to_all_traffic():
    """1 h, 2 h and 30 h: two hours; one slow change does not move it."""
    times = {"a": HOUR, "b": 2 * HOUR, "c": 30 * HOUR}
    found = of(
        *(good(name, AT + DAY) for name in times),
        committed={name: AT + DAY - time for name, time in times.items()},
    )

    assert found.lead_time == 2 * HOUR


def test_restore_time_begins_at_the_first_bad_weight():
    """Two good rungs do not count; the bad one's half minute does."""
    assert of(bad("a", AT, "passed", "passed", "failed")).restore_time == timedelta(seconds=30)


def test_aborted_ramp_is_restored_from_its_last_weight():
    """Nothing was judged bad; the weight at which somebody stopped it is the first that was."""
    assert of(bad("a", AT, "passed", "")).restore_time == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("at", "counted"),
    [(AT, 1), (AT - MINUTE, 0), (AT + 10 * DAY, 0), (AT + 10 * DAY - MINUTE, 1), (None, 0)],
    ids=["first moment", "before", "end", "last minute", "from before the record"],
)
def test_stretch_of_time_has_edges(at, counted):
    """The first moment is in it, its end is not."""
    assert of(deployed("a", at, ("active", at or AT))).deployments == counted


def test_nothing_deployed_is_no_figure():
    """Without deployments a rate is not 0 %: there is none."""
    found = of()

    assert (found.per_day, found.failure_rate) == (0, None)
    assert (found.lead_time, found.restore_time) == (None, None)


def test_what_is_left_out_is_said():
    """A commit that git lacks and a ramp that nobody recorded make a note, not a figure."""
    found = of(good("a", AT), deployed("b", AT, ("rolled_back", AT + HOUR)))

    assert (found.lead_time, found.restore_time) == (None, None)
    assert found.unknown == (
        "lead time leaves out 1 whose commit git does not have here",
        "time to restore leaves out 1 whose ramp was not recorded",
    )

"""What a release is called in git."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from release.tagging import day, deployment_notes, headline, plain_version

SHA = "c0ffee" * 6 + "beef"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (("fix: a typo", "feat(api)!: add TRX", "feat: older"), "Add TRX"),
        (("fix: a typo", "docs: more"), "A typo"),
        (("Update the cache", "chore: x"), "Update the cache"),
        (("Merge pull request #7 from o/x", "feat: compress"), "Compress"),
        (("Merge branch 'x'",), "commit c0ffeec0ffee"),
        ((), "commit c0ffeec0ffee"),
    ],
)
def test_headline_is_the_newest_feature_or_else_the_newest_change(changes, expected):
    """A tag says what its release is about, and no merge or prefix."""
    assert headline(changes, SHA) == expected


def test_long_headline_is_cut():
    """A tag's first line stays a line."""
    assert headline((f"feat: {'x' * 500}",), SHA) == f"X{'x' * 98}…"


@pytest.mark.parametrize("version", ["1.2.3", "1.2.3+abc1234"])
def test_build_part_is_no_part_of_a_release(version):
    """`v1.2.3`, whatever the promotion calls it."""
    assert plain_version(version) == "1.2.3"


def test_times_are_the_flows_lines_by_utc():
    """A worker's own zone shows nowhere."""
    east = timezone(timedelta(hours=14))
    staged, live = (datetime(2024, 1, d, 4, 5, 59, tzinfo=east) for d in (14, 15))

    assert deployment_notes(staged, live) == (
        "Staging: 2024-01-13 14:05 UTC",
        "Production: 2024-01-14 14:05 UTC",
        "Rollback: None",
    )
    assert day(live).isoformat() == "2024-01-14"


def test_unknown_time_of_staging_is_left_out():
    """No time is invented."""
    live = datetime(2024, 1, 15, 14, 0, tzinfo=UTC)

    assert deployment_notes(None, live) == ("Production: 2024-01-15 14:00 UTC", "Rollback: None")

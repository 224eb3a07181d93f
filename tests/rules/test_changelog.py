"""CHANGELOG.md is read as people write it."""

import pytest

from release.changelog import entries

TEXT = """# Changelog

## [Unreleased]

### Added
- one thing,
  told on two lines
* another
    - a detail of it

### Fixed

## [1.2.3] - 2024-01-15
- bare

## 1.2.2
### Changed
- old
"""


def test_unreleased_entries_are_those_of_the_next_release():
    """Bullets count by their first line; a group without any is not there."""
    assert entries(TEXT, "1.3.0+abc1234") == (
        "Unreleased",
        {"Added": ["one thing,", "another"]},
    )


@pytest.mark.parametrize("version", ["1.2.3", "1.2.3+abc1234"])
def test_heading_of_the_version_comes_first(version):
    """A release that is named already has its entries there."""
    assert entries(TEXT, version) == ("1.2.3", {"Entries": ["bare"]})


@pytest.mark.parametrize("text", ["", "# Changelog\n- not in a release\n", "## 0.1.0\n- old\n"])
def test_changelog_without_the_release_has_no_entries(text):
    """Nothing is taken from another release."""
    assert entries(text, "1.3.0") == ("", {})

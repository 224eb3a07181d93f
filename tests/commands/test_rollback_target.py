"""Which version a rollback goes back to."""

from dataclasses import replace

import pytest

from cli.errors import CliError
from cli.production import Live, rollback_target

A, B, C = (letter * 40 for letter in "abc")
VERSIONS = {
    "2": f"1.0.0+aaaaaaa {A}",
    "9": f"1.1.0+bbbbbbb {B}",
    "10": f"1.2.0+ccccccc {C}",
}


def serving(version: str) -> Live:
    """Production as it serves this version."""
    return Live(function="crypto-watch-api-prod", version=version, release="?", sha="?")


def test_rollback_without_a_wish_goes_to_the_version_before():
    """The newest older version, by number: 9 comes before 10."""
    assert rollback_target(serving("10"), VERSIONS, None) == "9"


def test_rollback_after_a_rollback_is_refused():
    """One command undoes one release: pressed twice, production does not go back two."""
    with pytest.raises(CliError, match=r"1\.2\.0.* is out of service already.* --to"):
        rollback_target(serving("9"), VERSIONS, None)


def test_rollback_goes_by_release_not_by_number():
    """A version that was built again is newer than the releases after it, and no way back."""
    versions = {"11": f"1.0.0+aaaaaaa {A}", "10": f"1.2.0+ccccccc {C}"}

    assert rollback_target(serving("10"), versions, None) == "11"


def test_release_published_twice_is_one_release():
    """The one before is another release, not the same one's other version."""
    versions = VERSIONS | {"11": VERSIONS["10"]}

    assert rollback_target(serving("11"), versions, None) == "9"


def test_lease_that_a_promotion_left_says_the_baseline():
    """A promotion terminated at 100 % leaves no split to tell it by."""
    assert rollback_target(replace(serving("10"), baseline="2"), VERSIONS, None) == "2"


def test_rollback_from_the_first_version_is_refused():
    """There is nothing before it."""
    with pytest.raises(CliError, match="crypto-watch-api-prod has no version before 2"):
        rollback_target(serving("2"), VERSIONS, None)


@pytest.mark.parametrize("wanted", ["1.0.0+aaaaaaa", "1.0.0", "v1.0.0", A, A[:7], "2"])
def test_release_can_be_named_in_every_way_people_know_it(wanted):
    """Release, tag, commit or Lambda version."""
    assert rollback_target(serving("10"), VERSIONS, wanted) == "2"


def test_release_published_twice_means_its_newest_version():
    """A commit that was promoted again stands there twice."""
    versions = {"1": f"1.0.0+aaaaaaa {A}", "2": f"1.0.0+aaaaaaa {A}", "3": f"1.1.0+bbbbbbb {B}"}

    assert rollback_target(serving("3"), versions, "1.0.0") == "2"


def test_release_newer_than_production_can_be_wanted():
    """After a rollback, `--to` also leads forward again."""
    assert rollback_target(serving("9"), VERSIONS, "1.2.0") == "10"


def test_release_that_production_serves_is_refused():
    """There is nothing to go back to."""
    with pytest.raises(CliError, match=r"production serves v1\.2\.0 already"):
        rollback_target(serving("10"), VERSIONS, "v1.2.0")


@pytest.mark.parametrize("wanted", ["1.0", A[:6], "", "0", "latest"])
def test_release_that_is_not_there_is_refused_with_those_that_are(wanted):
    """Half a name is no name: nothing is guessed, and the line lists what there is."""
    with pytest.raises(CliError, match="no release ") as refused:
        rollback_target(serving("10"), VERSIONS, wanted)

    assert all(release in str(refused.value) for release in VERSIONS.values())

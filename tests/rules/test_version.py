"""The next version, from the commits since the last tag."""

import pytest

from release.version import free_version, next_version


@pytest.mark.parametrize(
    ("tag", "messages", "version"),
    [
        ("v1.4.2", ["fix: a wrong price"], "1.4.3"),
        ("v1.4.2", ["fix: a", "feat: more coins", "docs: b"], "1.5.0"),
        ("v1.4.2", ["feat(api): more coins"], "1.5.0"),
        ("v1.4.2", ["feat: a", "fix!: prices are strings"], "2.0.0"),
        ("v1.4.2", ["refactor(api)!: prices are strings"], "2.0.0"),
        ("v1.4.2", ["fix: a\n\nBREAKING CHANGE: prices are strings"], "2.0.0"),
        ("v1.4.2", ["Update README"], "1.4.3"),
        ("v1.4.2", ["feature: no such kind"], "1.4.3"),
        ("v1.4.2", ["we want feat: in the middle"], "1.4.3"),
        ("v1.4.2", [], "1.4.3"),
        ("v0.3.1", ["feat!: prices are strings"], "0.4.0"),
        ("v0.3.1", ["fix: a"], "0.3.2"),
        (None, ["fix: a"], "0.1.0"),
        (None, [], "0.1.0"),
        ("v9.9.9", ["fix: a"], "9.9.10"),
    ],
)
def test_commits_since_the_tag_decide_the_version(tag, messages, version):
    """Major for breaking, minor for a feature, else patch; before 1.0.0 breaking is a minor."""
    assert next_version(tag, messages) == version


@pytest.mark.parametrize(
    ("taken", "version"),
    [
        ([], "1.3.0"),
        (["1.2.9", "1.3.1", "11.3.0"], "1.3.0"),
        (["1.3.0"], "1.3.1"),
        (["1.3.0", "1.3.2", "1.3.1"], "1.3.3"),
        (["1.3.0+abc1234"], "1.3.1"),
        (["?", "latest"], "1.3.0"),
    ],
)
def test_number_that_somebody_has_is_passed_over_for_the_next_patch(taken, version):
    """Also one that was named with its commit, as versions once were."""
    assert free_version("1.3.0", taken) == version


@pytest.mark.parametrize("tag", ["1.0.0", "v1.0", "v1.0.0-rc1", "release-1"])
def test_tag_of_another_form_is_refused(tag):
    """A tag that is not v1.2.3 is never guessed at."""
    with pytest.raises(ValueError, match=r"not of the form v1\.2\.3"):
        next_version(tag, [])

"""The next version, from the commits since the last tag."""

import pytest

from release.version import next_version

SHA = "0123456789abcdef0123456789abcdef01234567"


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
    assert next_version(tag, messages, SHA) == f"{version}+0123456"


def test_two_commits_without_a_tag_between_have_two_versions():
    """The build part keeps them apart."""
    other = "f" * 40

    assert next_version("v1.0.0", ["fix: a"], SHA) != next_version("v1.0.0", ["fix: a"], other)


@pytest.mark.parametrize("tag", ["1.0.0", "v1.0", "v1.0.0-rc1", "release-1"])
def test_tag_of_another_form_is_refused(tag):
    """A tag that is not v1.2.3 is never guessed at."""
    with pytest.raises(ValueError, match=r"not of the form v1\.2\.3"):
        next_version(tag, [], SHA)

"""CHANGELOG.md after a release: what went out has a section, what came later waits."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.changelog import NoUnreleased, close_release, entries, has_release

DEPLOYMENT = ("Staging: 2024-01-14 10:00 UTC", "Production: 2024-01-15 14:00 UTC", "Rollback: None")
RELEASED = """# Changelog

## [Unreleased]

### Added
- New cryptocurrency support
  (TRX, FIL)

### Fixed
- Timestamps

## [1.2.2] - 2024-01-01

### Fixed
- Old

[Unreleased]: https://example.org/compare
"""
CLOSED = """# Changelog

## [Unreleased]

## [1.2.3] - 2024-01-15

### Added
- New cryptocurrency support
  (TRX, FIL)

### Fixed
- Timestamps

### Deployment
- Staging: 2024-01-14 10:00 UTC
- Production: 2024-01-15 14:00 UTC
- Rollback: None

## [1.2.2] - 2024-01-01

### Fixed
- Old

[Unreleased]: https://example.org/compare
"""


def close(text: str, released: str = RELEASED) -> str:
    """The changelog after 1.2.3."""
    return close_release(text, released, "1.2.3", date(2024, 1, 15), DEPLOYMENT)


def test_released_entries_move_under_the_version_with_the_flows_block():
    """The result is the flow's example, and the rest of the file is as it was."""
    assert close(RELEASED) == CLOSED


def test_second_call_changes_nothing():
    """A retry closes no release twice."""
    assert close(close(RELEASED)) == close(RELEASED)


def test_what_came_after_the_released_commit_stays_unreleased():
    """A new entry, also in a group that went out, waits for its own release."""
    tip = RELEASED.replace("### Fixed\n- Timestamps", "- Later\n\n### Fixed\n- Timestamps\n- Last")

    text = close(tip)

    assert "## [Unreleased]\n\n### Added\n- Later\n\n### Fixed\n- Last\n\n## [1.2.3]" in text
    assert entries(text, "1.2.3")[1]["Added"] == ["New cryptocurrency support"]


def test_entry_that_went_out_with_another_release_is_not_told_twice():
    """A commit made before the last release was closed still has its entries under Unreleased."""
    tip = RELEASED.replace("\n### Fixed\n- Timestamps\n", "").replace(
        "- Old", "- Old\n- Timestamps"
    )

    text = close(tip)

    assert text.count("- Timestamps") == 1
    assert "Timestamps" in entries(text, "1.2.2")[1]["Fixed"]


def test_entry_of_a_release_that_nobody_closed_yet_is_not_told_again():
    """Two releases whose changelogs wait to be merged tell each entry once."""
    tip = RELEASED.replace("- Timestamps", "- Timestamps\n- New")

    text = close_release(tip, tip, "1.2.4", date(2024, 1, 16), DEPLOYMENT, unclosed=RELEASED)

    assert entries(text, "1.2.4")[1] == {"Fixed": ["New"], "Deployment": list(DEPLOYMENT)}
    assert entries(text, "9.9.9")[1] == {
        "Added": ["New cryptocurrency support"],
        "Fixed": ["Timestamps"],
    }


def test_same_words_in_an_old_release_keep_no_entry_back():
    """ "Dependencies" may be updated in every release."""
    text = close(RELEASED.replace("- Old", "- Timestamps"))

    assert entries(text, "1.2.3")[1]["Fixed"] == ["Timestamps"]
    assert entries(text, "1.2.2")[1]["Fixed"] == ["Timestamps"]


def test_version_that_somebody_wrote_by_hand_gets_its_deployment_only():
    """Who prefers to name the release in its commit keeps the section as it is."""
    written = RELEASED.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.2.3] - 2024-01-10\n")

    text = close(written, written)

    assert "## [1.2.3] - 2024-01-10\n\n### Added\n" in text
    assert "- Timestamps\n\n### Deployment\n- Staging: 2024-01-14 10:00 UTC\n" in text
    assert close(text, written) == text


@pytest.mark.parametrize("which", ["tip", "released"])
def test_changelog_without_unreleased_is_said(which):
    """No section is invented where nobody keeps one."""
    texts = {"tip": RELEASED, "released": RELEASED} | {which: "# Changelog\n\n## 1.0.0\n- x\n"}
    where = {"tip": "on the branch", "released": "in the released commit"}[which]

    with pytest.raises(NoUnreleased, match=f"CHANGELOG.md {where} has no heading `## Unreleased`"):
        close(texts["tip"], texts["released"])


def test_line_endings_are_kept():
    """A file with Windows's line ends is not changed from its first line to its last."""
    assert close(RELEASED.replace("\n", "\r\n"), RELEASED.replace("\n", "\r\n")) == (
        CLOSED.replace("\n", "\r\n")
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_section_ends_the_file_with_one_line_end(end):
    """A first release leaves a file that ends as files end."""
    text = f"# Changelog{end}{end}## Unreleased{end}- First{end}"

    assert close(text, text).endswith(
        f"- First{end}{end}### Deployment{end}- Staging: 2024-01-14 "
        f"10:00 UTC{end}- Production: 2024-01-15 14:00 UTC{end}"
        f"- Rollback: None{end}"
    )


def test_loose_lists_and_paragraphs_stay_what_they_are():
    """Blank lines below headings and between entries, and text without a bullet, are kept."""
    tip = (
        "## Unreleased\n\nA word first.\n\n### Added\n\n- One\n\n  more of it\n\n- Two\n\nPlain.\n"
    )

    text = close(tip, tip)

    assert f"## [1.2.3] - 2024-01-15{tip.removeprefix('## Unreleased')}\n### Deployment" in text


def changelog(groups: dict[str, list[str]]) -> str:
    """A changelog with these entries under Unreleased."""
    body = "".join(
        f"### {name}\n" + "".join(f"- {text}\n" for text in texts) + "\n"
        for name, texts in groups.items()
    )
    return f"# Changelog\n\n## Unreleased\n\n{body}## 1.0.0\n- first\n"


GROUPS = st.dictionaries(
    st.sampled_from(["Added", "Changed", "Fixed"]),
    st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1),
)


@given(then=GROUPS, now=GROUPS)
def test_no_entry_is_lost_or_comes_from_nowhere(then, now):
    """Every released entry is in the release, every later one under Unreleased, and no other."""
    text = close(changelog(now), changelog(then))
    released = {entry for texts in then.values() for entry in texts}
    waiting = {entry for texts in now.values() for entry in texts}

    section = entries(text, "1.2.3")[1]
    assert {e for name, es in section.items() if name != "Deployment" for e in es} == released
    assert {e for es in entries(text, "9.9.9")[1].values() for e in es} == waiting - released
    assert has_release(text, "1.2.3")
    assert close(text, changelog(then)) == text

"""The tag and the changelog of a release, in real repositories."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.git_release import GitRelease
from activities.release_inputs import ChangelogInput, TagInput
from release.changelog import entries
from tests.git_command import git

STAGED = datetime(2024, 1, 14, 10, 0, tzinfo=UTC)
LIVE = datetime(2024, 1, 15, 14, 0, tzinfo=UTC)
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n- TRX\n\n## [1.2.2] - 2024-01-01\n- Old\n"
BRANCH = "changelog/v1.2.3"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a changelog, main checked out, and nobody's git configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, CHANGELOG)
    return folder


def commit(folder: Path, changelog: str | None = None, message: str = "feat: x") -> str:
    """The sha of a commit, with this changelog if one is given."""
    if changelog is not None:
        (folder / "CHANGELOG.md").write_bytes(changelog.encode(errors="surrogateescape"))
        git(folder, "add", "CHANGELOG.md")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def tag(folder: Path, sha: str = "", version: str = "1.2.3") -> str:
    """What the activity says."""
    order = TagInput(
        sha=sha or git(folder, "rev-parse", "main"),
        version=version,
        message=f"Release v{version}: Add TRX",
        at=LIVE,
    )
    return str(ActivityEnvironment().run(GitRelease(folder, "main").tag_release, order))


def write_changelog(folder: Path, sha: str = "", branch: str = "main", **fields: str) -> str:
    """What the activity says."""
    known = {"sha": sha or git(folder, "rev-parse", branch), "version": "1.2.3"}
    order = ChangelogInput(**{**known, **fields}, staged_at=STAGED, live_at=LIVE)
    return str(ActivityEnvironment().run(GitRelease(folder, branch).write_changelog, order))


def state(folder: Path) -> dict[str, object]:
    """All that a release may not change: what is checked out, staged, changed, and main."""
    return {
        "head": git(folder, "symbolic-ref", "HEAD"),
        "status": git(folder, "status", "--porcelain"),
        "index": (folder / ".git/index").read_bytes(),
        "main": git(folder, "rev-parse", "main"),
        "stash": git(folder, "stash", "list"),
    }


def add_failing_hooks(folder: Path) -> None:
    """Every hook of git fails and leaves a trace."""
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "pre-push"):
        hook = folder / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {folder.parent}/hook-ran\nexit 1\n")
        hook.chmod(0o755)


def refused(call, *arguments, **named) -> str:
    """The words of the error, which is not tried again."""
    with pytest.raises(ApplicationError) as caught:
        call(*arguments, **named)
    assert caught.value.non_retryable
    return caught.value.message


def test_release_is_tagged_as_the_flow_says(folder):
    """An annotated tag with the flow's message on the commit, dated when it went live."""
    assert tag(folder) == f"v1.2.3 on {git(folder, 'rev-parse', 'main')[:12]}"

    assert git(folder, "cat-file", "-t", "v1.2.3") == "tag"
    assert git(folder, "rev-parse", "v1.2.3^{commit}") == git(folder, "rev-parse", "main")
    assert git(folder, "tag", "-l", "--format=%(contents)", "v1.2.3") == "Release v1.2.3: Add TRX"
    shown = "--format=%(taggername) %(taggerdate:iso)"
    assert git(folder, "tag", "-l", shown, "v1.2.3") == "Release 2024-01-15 14:00:00 +0000"


def test_second_attempt_finds_the_tag(folder):
    """A retry after an unknown outcome says the same and changes nothing."""
    first, made = tag(folder), git(folder, "rev-parse", "v1.2.3")

    assert tag(folder) == first
    assert git(folder, "rev-parse", "v1.2.3") == made


@pytest.mark.parametrize("kind", [("-a", "-m", "mine"), ()], ids=["annotated", "lightweight"])
def test_tag_of_another_commit_is_never_moved(folder, kind):
    """Somebody's v1.2.3 stays where it is, and people are told what to do."""
    git(folder, "tag", *kind, "v1.2.3")
    old, new = git(folder, "rev-parse", "v1.2.3^{commit}"), commit(folder)

    text = refused(tag, folder, new)

    assert text == (
        f"v1.2.3 is on {old[:12]} already and is never moved; "
        f"give {new[:12]} a tag of its own by hand"
    )
    assert git(folder, "rev-parse", "v1.2.3^{commit}") == old


def test_tag_by_hand_on_the_same_commit_is_enough(folder):
    """Who tagged first is not told off."""
    git(folder, "tag", "v1.2.3")

    assert tag(folder).startswith("v1.2.3 on ")


def test_tag_that_has_to_be_pushed_says_so(folder):
    """A tag in the worker's clone reaches nobody by itself."""
    git(folder, "remote", "add", "origin", "https://git.example/x")

    assert tag(folder).endswith("; `git push origin v1.2.3` publishes it")


def test_unknown_commit_is_said(folder):
    """A worker whose clone is behind is told how to go on."""
    text = refused(tag, folder, "c" * 40)

    assert f"the worker's repository has no {'c' * 40}" in text
    assert "fetch it there, or set RELEASE_REPOSITORY" in text


@pytest.mark.parametrize("version", ["1.2", "1.2.3+abc1234", "-d", "1.2.3/../x", ""])
def test_what_is_no_version_becomes_no_tag(folder, version):
    """Nothing reaches git as an option or as a path."""
    assert "is no version of the form 1.2.3" in refused(tag, folder, version=version)
    assert git(folder, "tag", "-l") == ""


def test_changelog_is_one_commit_on_a_branch_of_its_own(folder):
    """The branch holds main and one commit, which changes the changelog and nothing else."""
    (folder / "other").write_text("x")
    git(folder, "add", "other")
    sha = commit(folder)

    said = write_changelog(folder)

    assert said == f"branch {BRANCH}; `git merge {BRANCH}` on main takes it"
    assert git(folder, "rev-parse", f"{BRANCH}^") == sha
    assert git(folder, "diff", "--name-only", "main", BRANCH) == "CHANGELOG.md"
    assert git(folder, "show", f"{BRANCH}:CHANGELOG.md") == (
        "# Changelog\n\n## Unreleased\n\n"
        "## [1.2.3] - 2024-01-15\n\n### Added\n- TRX\n\n### Deployment\n"
        "- Staging: 2024-01-14 10:00 UTC\n- Production: 2024-01-15 14:00 UTC\n- Rollback: None\n\n"
        "## [1.2.2] - 2024-01-01\n- Old"
    )
    assert git(folder, "log", "-1", "--format=%an %s", BRANCH) == (
        "Release docs: changelog of v1.2.3"
    )


def test_branch_that_went_on_keeps_its_new_entries_unreleased(folder):
    """The base is the tip, and what was merged meanwhile is of the next release."""
    released = git(folder, "rev-parse", "main")
    tip = commit(folder, CHANGELOG.replace("- TRX", "- TRX\n- FIL"))

    write_changelog(folder, released)

    assert git(folder, "rev-parse", f"{BRANCH}^") == tip
    text = git(folder, "show", f"{BRANCH}:CHANGELOG.md")
    assert "## Unreleased\n\n### Added\n- FIL\n\n## [1.2.3]" in text
    assert "### Added\n- TRX\n\n### Deployment" in text


@pytest.mark.parametrize("merged", [True, False])
def test_next_release_tells_its_own_entries_only(folder, merged):
    """Whether somebody merged the last changelog or not, no entry goes out twice."""
    tag(folder)
    write_changelog(folder)
    if merged:
        git(folder, "merge", "--quiet", BRANCH)
    text = git(folder, "show", "main:CHANGELOG.md")
    commit(folder, text.replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n- FIL\n", 1))

    write_changelog(folder, version="1.2.4", previous="1.2.3")

    text = git(folder, "show", "changelog/v1.2.4:CHANGELOG.md")
    assert entries(text, "1.2.4")[1]["Fixed"] == ["FIL"]
    assert "Added" not in entries(text, "1.2.4")[1]
    assert text.count("- TRX") == 1


def test_second_attempt_finds_the_branch(folder):
    """A retry writes no second commit, also when main went on."""
    first, made = write_changelog(folder), git(folder, "rev-parse", BRANCH)
    released = git(folder, "rev-parse", "main")
    commit(folder)

    assert write_changelog(folder, released) == first
    assert git(folder, "rev-parse", BRANCH) == made


def test_retry_makes_the_very_same_commit(folder):
    """Two attempts that overlap cannot leave two different commits."""
    write_changelog(folder)
    first = git(folder, "rev-parse", BRANCH)
    git(folder, "branch", "-D", BRANCH)
    write_changelog(folder)

    assert git(folder, "rev-parse", BRANCH) == first


def test_merged_changelog_is_not_proposed_again(folder):
    """Merged, and its branch deleted: a late retry has nothing to do."""
    released = git(folder, "rev-parse", "main")
    write_changelog(folder)
    git(folder, "merge", "--quiet", BRANCH)
    git(folder, "branch", "-d", BRANCH)

    assert write_changelog(folder, released) == "CHANGELOG.md of main has it already"
    assert git(folder, "branch", "--list", BRANCH) == ""


def test_branch_of_somebody_else_is_left_alone(folder):
    """A branch of our name with something else in it is not written to."""
    git(folder, "branch", BRANCH)

    text = refused(write_changelog, folder)

    assert text.startswith(f"branch {BRANCH} closes no 1.2.3: rename it, and write its section")
    assert git(folder, "rev-parse", BRANCH) == git(folder, "rev-parse", "main")


def test_branch_that_is_in_the_way_is_named(folder):
    """git can have no `changelog/v1.2.3` beside a branch `changelog`."""
    git(folder, "branch", "changelog")

    assert "a branch `changelog` is in the way" in refused(write_changelog, folder)


def test_open_work_and_hooks_are_not_touched(folder):
    """Somebody works in the repository: staged, changed and new files stay, and no hook runs."""
    (folder / "staged").write_text("staged")
    git(folder, "add", "staged")
    (folder / "CHANGELOG.md").write_text("half a sentence")
    (folder / "new").write_text("new")
    git(folder, "config", "commit.gpgSign", "true")
    git(folder, "config", "tag.gpgSign", "true")
    before = state(folder)
    add_failing_hooks(folder)

    tag(folder)
    write_changelog(folder)

    assert not (folder.parent / "hook-ran").exists()
    assert state(folder) == before
    assert "M CHANGELOG.md\nA  staged\n?? new" in before["status"]  # what git strips is a blank
    assert git(folder, "show", f"{BRANCH}:CHANGELOG.md").startswith("# Changelog")


def test_hooks_would_run_without_our_care(folder):
    """The hooks of the last test are no dummies."""
    add_failing_hooks(folder)

    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "branch", "x")
    assert (folder.parent / "hook-ran").exists()


def test_git_variables_of_a_hook_lead_nowhere_else(folder, tmp_path, monkeypatch):
    """A worker that was started by a git hook still writes to its own repository."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    sha = subprocess.run(
        ["git", f"--git-dir={folder}/.git", "rev-parse", "main"], capture_output=True, text=True
    ).stdout.strip()

    tag(folder, sha)
    write_changelog(folder, sha)

    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert git(folder, "tag", "-l") == "v1.2.3"
    assert git(folder, "rev-parse", f"{BRANCH}^") == sha


def test_bare_repository_will_do(folder, tmp_path):
    """A worker's clone need not have a working tree."""
    git(tmp_path, "clone", "--quiet", "--bare", str(folder), "bare")

    tag(tmp_path / "bare")
    assert write_changelog(tmp_path / "bare").startswith(f"branch {BRANCH}")


def test_bytes_that_are_no_text_come_through(folder):
    """An old changelog in another encoding is not mended by the way."""
    commit(folder, CHANGELOG.replace("Old", "caf\udce9"))

    write_changelog(folder)

    shown = ["git", "-C", str(folder), "show", f"{BRANCH}:CHANGELOG.md"]
    assert b"- caf\xe9\n" in subprocess.run(shown, capture_output=True, check=True).stdout


def test_missing_changelog_is_said(folder):
    """No changelog is invented."""
    git(folder, "rm", "--quiet", "CHANGELOG.md")
    sha = commit(folder)

    text = refused(write_changelog, folder)

    assert text == f"{sha[:12]} has no CHANGELOG.md; add one with a heading `## Unreleased`"


def test_changelog_without_unreleased_says_what_to_write(folder):
    """Who keeps no Unreleased gets the lines to write."""
    commit(folder, "# Changelog\n\n## 1.0.0\n- x\n")

    assert refused(write_changelog, folder) == (
        "CHANGELOG.md on the branch has no heading `## Unreleased`; write its section by hand "
        "(Staging: 2024-01-14 10:00 UTC; Production: 2024-01-15 14:00 UTC; Rollback: None)"
    )


def test_missing_branch_is_said(folder):
    """A wrong RELEASE_BRANCH is one line."""
    git(folder, "checkout", "--quiet", "--detach")
    git(folder, "branch", "-D", "main")
    order = ChangelogInput(
        sha=git(folder, "rev-parse", "HEAD"), version="1.2.3", staged_at=STAGED, live_at=LIVE
    )

    with pytest.raises(ApplicationError, match=r"has no main .*; set RELEASE_BRANCH") as caught:
        ActivityEnvironment().run(GitRelease(folder, "main").write_changelog, order)
    assert caught.value.non_retryable


def test_lock_of_another_git_is_waited_for(folder):
    """What passes by itself is tried again."""
    (folder / ".git/refs/tags").mkdir(exist_ok=True)
    (folder / ".git/refs/tags/v1.2.3.lock").touch()

    with pytest.raises(ApplicationError, match="Unable to create") as caught:
        tag(folder)

    assert not caught.value.non_retryable
    (folder / ".git/refs/tags/v1.2.3.lock").unlink()
    assert tag(folder).startswith("v1.2.3 on ")

"""The version of a commit: its own, the one asked for, or the next that nobody has."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cli import versions
from cli.commits import Commits
from cli.errors import CliError
from cli.production import Live
from release.policy import parse_policy
from tests.commands.conftest import NOBODY, POLICY, Repository, repository
from tests.record.conftest import back, served
from tests.service.service_parts import new_table

__all__ = ["repository"]

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
LIVE = Live(function="f", version="1", release="1.2.0", sha="0" * 40)


@pytest.fixture
def commits(repository: Repository) -> Commits:
    """A repository whose last release is v1.2.0."""
    repository.commit("feat: first")
    repository.git("tag", "--annotate", "v1.2.0", "--message", "Release v1.2.0")
    return Commits(repository.folder, "main")


@pytest.fixture
def table(port: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Production's table, where the commands find it."""
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ):
        monkeypatch.setenv(name, value)
    table = new_table(endpoint, "crypto-watch-prod")
    yield table
    table.delete()


@pytest.fixture
def record(dynamodb, table):
    """Production's record, where the commands find it."""
    return versions.DeploymentTable(dynamodb, table.name, "prod")


def version(commits: Commits, sha: str, wanted: str | None = None) -> str:
    known = versions.named(commits, parse_policy(POLICY), LIVE)
    return versions.choose(commits, sha, known, wanted)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("fix: a price", "1.2.1"), ("feat: more", "1.3.0"), ("feat!: other", "2.0.0")],
)
def test_commits_since_the_tag_make_a_plain_version(commits, table, repository, subject, expected):
    """By Conventional Commits, and nothing after the three numbers."""
    assert version(commits, repository.commit(subject)) == expected


def test_tagged_commit_keeps_its_version(commits, table, repository):
    """Promoted again it is not another release."""
    sha = repository.git("rev-parse", "v1.2.0^{commit}")

    assert version(commits, sha) == "1.2.0"


def test_tag_on_another_commit_takes_the_version(commits, table, repository):
    """A hotfix of another branch has been tagged 1.2.1."""
    repository.git("switch", "--quiet", "--create", "hotfix")
    repository.commit("fix: hot")
    repository.git("tag", "v1.2.1")
    repository.git("switch", "--quiet", "main")

    assert version(commits, repository.commit("fix: cold")) == "1.2.2"


def test_release_that_went_back_keeps_its_number(commits, record, repository):
    """The fix after it has the next, and the commit itself its own if it comes again."""
    bad = repository.commit("feat: more")
    record.record([back("1.3.0", AT, commit=bad)])

    assert version(commits, bad) == "1.3.0"
    assert version(commits, repository.commit("fix: less")) == "1.3.1"


def test_record_of_another_commit_takes_the_version(commits, record, repository):
    """Served and not tagged, for the tag is late."""
    record.record([served("1.2.1", AT, repository.commit("fix: one"))])

    assert version(commits, repository.commit("fix: two")) == "1.2.2"


def test_what_production_runs_takes_its_version(commits, table, repository):
    """Before there is any record or tag of it."""
    sha = repository.commit("fix: one")
    known = [("1.2.1", "f" * 40)]

    assert versions.choose(commits, sha, known) == "1.2.2"


def test_dynamodb_that_does_not_answer_is_a_warning(commits, monkeypatch, table, capsys):
    """The tags still count, and so does what production runs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)

    known = versions.named(commits, parse_policy(POLICY), LIVE)

    assert [name for name, _ in known] == ["1.2.0", "1.2.0"]
    assert "warning: versions are known by their tags only" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["1.4.0", "v1.4.0", "2.0.0", "1.2.1"])
def test_version_may_be_given_by_hand(commits, table, repository, wanted):
    """Whatever the commits would make of it, if it is above the last tag."""
    sha = repository.commit("fix: a price")

    assert version(commits, sha, wanted) == wanted.removeprefix("v")


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("1.4", "--version '1.4' is not of the form 1.2.3"),
        ("1.04.0", "is not of the form 1.2.3"),
        ("1.4.0-rc1", "is not of the form 1.2.3"),
        ("1.4.0+abc1234", "is not of the form 1.2.3"),
        ("", "is not of the form 1.2.3"),
        ("1.1.9", "--version 1.1.9 is not above the last tag, v1.2.0"),
        ("1.2.0", "--version 1.2.0 is taken: "),
        ("1.5.0", "--version 1.5.0 is taken: eeeeeeeeeeee has it"),
    ],
)
def test_version_that_cannot_be_is_refused(commits, record, repository, wanted, text):
    """Its form, its place, and who has it already."""
    record.record([served("1.5.0", AT, "e" * 40)])
    sha = repository.commit("fix: a price")

    with pytest.raises(CliError) as refused:
        version(commits, sha, wanted)

    assert text in str(refused.value)


def test_commit_with_a_version_gets_no_other(commits, record, repository):
    """One commit is one release; its own name may be said again."""
    sha = repository.commit("feat: more")
    record.record([back("1.3.0", AT, commit=sha)])

    assert version(commits, sha, "1.3.0") == "1.3.0"
    with pytest.raises(CliError, match=r"has the version 1\.3\.0 already"):
        version(commits, sha, "1.4.0")

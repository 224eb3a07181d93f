"""`starter.py history` and `diff`, on real tables and a real repository."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from activities.deployment_table import DeploymentTable
from tests.commands.conftest import POLICY, Completed, repository, starter, state_dir
from tests.record.conftest import back, served
from tests.service.service_parts import new_table

__all__ = ["repository", "starter", "state_dir"]

AT = datetime(2026, 1, 15, 14, tzinfo=UTC)


@pytest.fixture
def tables(port: int, dynamodb: Any) -> Iterator[Any]:
    """Both environments' tables, empty."""
    made = [
        new_table(f"http://127.0.0.1:{port}", f"crypto-watch-{environment}")
        for environment in ("prod", "staging")
    ]
    yield lambda environment: DeploymentTable(dynamodb, f"crypto-watch-{environment}", environment)
    for table in made:
        table.delete()


@pytest.fixture
def run(port: int, starter, tables) -> Callable[..., Completed]:
    """Runs `starter.py …`; AWS answers, Temporal does not."""
    return lambda *arguments: starter(*arguments, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")


@pytest.fixture
def released(repository, tables) -> SimpleNamespace:
    """1.2.2 was served, then 1.2.3; 1.3.0 went back."""
    (repository.folder / "CHANGELOG.md").write_text("## Unreleased\n")
    old = repository.commit("feat: prices")
    (repository.folder / "CHANGELOG.md").write_text("## Unreleased\n- A price was wrong.\n")
    new = repository.commit("fix: a price", policy=POLICY + "\n# more\n")
    bad = repository.commit("feat: more")
    prod = tables("prod")
    same, changed = {"fetcher": "cd" * 32}, {"api": "ab" * 32}
    prod.record([served("1.2.2", AT, old, deployed_by="dora", artifacts=same | changed)])
    later = AT + timedelta(days=1)
    artifacts = same | {"api": "ef" * 32}
    prod.record([served("1.2.3", later, new, deployed_by="dora", artifacts=artifacts)])
    prod.record([back("1.3.0", later + timedelta(days=1), "errors at 30%", bad)])
    return SimpleNamespace(old=old, new=new, bad=bad)


def test_history_lists_production_newest_first(run, released):
    """Version, when, commit, by whom, status, reason: one line each."""
    done = run("history")

    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "VERSION",
        "1.3.0",
        "1.2.3",
        "1.2.2",
    ]
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    bad, new, old = (sha[:12] for sha in (released.bad, released.new, released.old))
    assert lines[1] == f"1.3.0 before the record {bad} - rolled_back errors at 30%"
    assert lines[2] == f"1.2.3 2026-01-16 14:00 UTC {new} dora active"
    assert lines[3] == f"1.2.2 2026-01-15 14:00 UTC {old} dora superseded by 1.2.3"


def test_history_for_programs_has_everything(run, released):
    """As the record has it."""
    found = json.loads(run("history", "--json").stdout)

    assert [(one["version"], one["status"]) for one in found] == [
        ("1.3.0", "rolled_back"),
        ("1.2.3", "active"),
        ("1.2.2", "superseded"),
    ]
    assert found[2]["git_commit"] == released.old
    assert found[2]["artifacts"]["api"] == "ab" * 32


def test_history_of_an_environment_without_a_record_says_so(run, released):
    """Nothing there is an answer, not an empty screen."""
    done = run("history", "--env", "staging")

    assert done.returncode == 0
    assert done.stdout.startswith("staging has no record yet")


def test_history_without_a_table_is_bad_input(run, repository, released, dynamodb, tables):
    """The line says what to do."""
    repository.commit(policy=POLICY.replace('service = "crypto-watch"', 'service = "other"'))

    done = run("history")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no table other-prod; create the environment first" in done.stderr


def test_diff_says_what_a_release_brought(run, released):
    """Commits with authors, artifacts, the policy, the changelog's lines."""
    done = run("diff", "1.2.2", "v1.2.3")

    assert done.returncode == 0, done.stderr
    old, new = released.old[:12], released.new[:12]
    assert done.stdout.splitlines() == [
        f"1.2.2 ({old}) → 1.2.3 ({new})",
        "",
        "commits",
        f"  {new}  carol  fix: a price",
        "",
        "artifacts",
        "  api          changed",
        "  fetcher      same",
        "",
        "release.toml",
        "  changed",
        "",
        "CHANGELOG.md",
        "  - A price was wrong.",
    ]


def test_diff_backwards_says_what_is_left_out(run, released):
    """What a rollback takes away."""
    found = json.loads(run("diff", "1.2.3", "1.2.2", "--json").stdout)

    assert found["commits"] == []
    assert [one["subject"] for one in found["left_out"]] == ["fix: a price"]


def test_artifacts_that_no_record_has_are_unknown(run, released):
    """A release that a rollback only knew by name has no hashes, and none are made up."""
    found = json.loads(run("diff", "1.2.3", "1.3.0", "--json").stdout)

    assert found["artifacts"] == {"api": "unknown", "fetcher": "unknown"}
    assert [one["author"] for one in found["commits"]] == ["carol"]


def test_release_that_only_a_tag_knows_can_be_compared(run, released, repository):
    """From before the record."""
    repository.git("tag", "v1.0.0", released.old)

    found = json.loads(run("diff", "1.0.0", "1.2.3", "--json").stdout)

    assert found["before"]["commit"] == released.old


def test_diff_of_an_unknown_version_names_those_there_are(run, released):
    """A slip is one line."""
    done = run("diff", "1.2.2", "9.9.9")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no release '9.9.9'; there is: 1.2.3, 1.2.2, 1.3.0\n"


def test_commit_that_git_lacks_is_said(run, released, tables):
    """The record knows more than this clone."""
    tables("prod").record([served("1.4.0", AT + timedelta(days=9), "d" * 40)])

    done = run("diff", "1.2.2", "1.4.0")

    assert done.returncode == 2
    assert "git lacks dddddddddddd, the commit of 1.4.0; fetch it" in done.stderr

"""`starter.py quarantine`, and `promote` of what is quarantined, on a real table."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from activities.quarantine_table import QuarantineTable
from release.quarantine import Entry
from tests.local import front_door_parts as parts
from tests.rollback.production_parts import Production
from tests.service.service_parts import new_table


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def quarantined(control_plane: int, repository) -> Iterator[SimpleNamespace]:
    """Production serves a commit; the next one is quarantined, and has a child."""
    production = Production(control_plane)
    live, bad, child = (repository.commit(f"feat: {word}") for word in ("one", "two", "three"))
    production.create("1.0.0", live)
    table = new_table(production.endpoint, "crypto-watch-prod")
    records = QuarantineTable(production.client("dynamodb"), "crypto-watch-prod")
    at = datetime(2026, 1, 1, 10, tzinfo=UTC)
    records.add(Entry(sha=bad, version="1.1.0", promotion="p", reason="errors at 30%", at=at))
    yield SimpleNamespace(live=live, bad=bad, child=child, endpoint=production.endpoint)
    table.delete()
    production.forget()


@pytest.fixture
def run(starter, quarantined):
    """Runs `starter.py …`; AWS answers, Temporal does not."""
    return lambda *arguments: starter(*arguments, AWS_ENDPOINT_URL=quarantined.endpoint)


def test_promotion_of_a_quarantined_commit_is_refused_before_anything_starts(run, quarantined):
    """Bad input: which commit, why, since when, and what to do."""
    done = run("promote", quarantined.bad, "--as", "dora")

    assert (done.returncode, done.stdout) == (2, "")
    bad = quarantined.bad[:12]
    assert done.stderr.startswith(f"error: {bad} is quarantined since 2026-01-01 10:00 UTC")
    assert f"starter.py quarantine release {bad} --reason" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_promotion_of_a_descendant_is_refused_until_a_fix_is_declared(run, quarantined, repository):
    """With the trailer the command gets as far as Temporal, which is down."""
    refused = run("promote", "main", "--as", "dora")
    repository.commit(f"fix: two\n\nFixes-Release: {quarantined.bad[:9]}")

    let_in = run("promote", "main", "--as", "dora")

    assert refused.returncode == 2
    assert f"contains {quarantined.bad[:12]}, which is quarantined" in refused.stderr
    assert let_in.returncode == 3
    assert let_in.stderr.startswith("error: Temporal at 127.0.0.1:9: ")


@pytest.mark.parametrize("how", ["sha", "short", "symbolic"])
def test_released_commit_may_be_promoted(run, quarantined, how):
    """Any revision names it; who and why stand in the list."""
    revision = {"sha": quarantined.bad, "short": quarantined.bad[:7], "symbolic": "main~1"}[how]

    done = run("quarantine", "release", revision, "--reason", "a false alarm", "--as", "alice")

    assert done.returncode == 0, done.stderr
    assert run("promote", quarantined.bad, "--as", "dora").returncode == 3
    listed = run("quarantine", "list").stdout
    assert "by alice, a false alarm" in listed
    [record] = json.loads(run("quarantine", "list", "--json").stdout)
    assert (record["sha"], record["released"]["by"]) == (quarantined.bad, "alice")


def test_list_says_what_went_back_and_why(run, quarantined):
    """One line a commit."""
    [line] = run("quarantine", "list").stdout.splitlines()

    assert line.startswith(f"{quarantined.bad[:12]}  quarantined  2026-01-01 10:00 UTC  1.1.0")
    assert line.endswith("errors at 30%")


def test_release_needs_a_reason(run, quarantined):
    """Missing or empty: nothing was released."""
    assert run("quarantine", "release", quarantined.bad).returncode == 2
    assert run("quarantine", "release", quarantined.bad, "--reason", " ").returncode == 2
    assert run("promote", quarantined.bad, "--as", "dora").returncode == 2


def test_release_of_what_is_not_quarantined_is_a_clear_error(run, quarantined):
    """Unknown to git, never quarantined, released already: each has its line."""
    nowhere = run("quarantine", "release", "0" * 40, "--reason", "x")
    never = run("quarantine", "release", quarantined.child, "--reason", "x")
    run("quarantine", "release", quarantined.bad, "--reason", "a false alarm", "--as", "alice")
    twice = run("quarantine", "release", quarantined.bad, "--reason", "x")

    assert [done.returncode for done in (nowhere, never, twice)] == [2, 2, 2]
    assert nowhere.stderr.startswith("error: no commit '0000")
    assert f"{quarantined.child[:12]} was never quarantined" in never.stderr
    assert f"{quarantined.bad[:12]} is not quarantined any more: released " in twice.stderr
    assert "by alice, a false alarm" in twice.stderr

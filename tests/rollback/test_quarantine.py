"""The quarantine's activities, on a real table and a real repository."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.deployment_table import DeploymentTable
from activities.inputs import AliasInput, QuarantineCheckInput, QuarantineInput, ReconcileInput
from activities.quarantine import Quarantine
from activities.quarantine_table import QuarantineTable
from release.lease import Hand, Note
from release.quarantine import Entry, Released
from tests.commands.conftest import Repository
from tests.rollback.production_parts import API, FETCHER, Production
from tests.service.service_parts import new_table

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)


class Yard:
    """The activities, with shorthands."""

    def __init__(self, production: Production, repository: Repository, table: str) -> None:
        self.dynamodb = production.client("dynamodb")
        self.activities = Quarantine(self.dynamodb, repository.folder, production.lambda_)
        self.table = QuarantineTable(self.dynamodb, table)
        self.name = table

    def add(self, sha: str, at: datetime = AT, reason: str = "errors at 30%") -> None:
        """The commit went back."""
        order = QuarantineInput(
            table=self.name, sha=sha, version="1.2.3", promotion="p", reason=reason, at=at
        )
        ActivityEnvironment().run(self.activities.quarantine, order)

    def refusal(self, sha: str) -> str | None:
        """What the promotion of a commit is refused with."""
        order = QuarantineCheckInput(table=self.name, sha=sha)
        text = self.activities.refusal(order)
        if text is not None:
            with pytest.raises(ApplicationError) as refused:
                ActivityEnvironment().run(self.activities.refuse_quarantined, order)
            assert (refused.value.type, refused.value.non_retryable) == ("Quarantined", True)
            assert refused.value.message == text
        else:
            ActivityEnvironment().run(self.activities.refuse_quarantined, order)
        return text

    def reconcile(self) -> list[Note]:
        """The notes at both aliases."""
        aliases = tuple(AliasInput(function=name, alias="live") for name in (API, FETCHER))
        order = ReconcileInput(table=self.name, aliases=aliases)
        found: list[Note] = ActivityEnvironment().run(self.activities.reconcile, order)
        return found

    def release(self, sha: str, at: datetime) -> bool:
        return self.table.release(sha, Released(by="alice", reason="a false alarm", at=at))


@pytest.fixture
def yard(production: Production, repository: Repository) -> Any:
    table = new_table(production.endpoint)
    yield Yard(production, repository, table.name)
    table.delete()


def test_quarantined_commit_and_its_descendants_are_refused(yard, repository):
    """What is built on a bad commit is as bad; what came before it is not."""
    good = repository.commit()
    bad = repository.commit("feat: more")
    child = repository.commit("feat: still more")
    yard.add(bad)

    assert yard.refusal(good) is None
    assert yard.refusal(bad).startswith(f"{bad[:12]} is quarantined")
    assert yard.refusal(child).startswith(f"{child[:12]} contains {bad[:12]}, which is quarantined")


def test_declared_fix_lets_it_and_what_follows_in(yard, repository):
    """The trailer of one commit's message is enough for all that come after it."""
    bad = repository.commit("feat: more")
    between = repository.commit("feat: still more")
    fix = repository.commit(f"fix: less\n\nIt was too much.\n\nFixes-Release: {bad[:7]}")
    after = repository.commit("feat: and on")
    yard.add(bad)

    assert yard.refusal(between)
    assert yard.refusal(fix) is None
    assert yard.refusal(after) is None


def test_fix_on_a_branch_counts_once_it_is_merged(yard, repository):
    """Only what is in the promoted commit's own past is in the promoted commit."""
    bad = repository.commit("feat: more")
    repository.git("switch", "--quiet", "--create", "fix")
    repository.commit(f"fix: less\n\nFixes-Release: {bad}")
    repository.git("switch", "--quiet", "main")
    other = repository.commit("feat: other")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge fix", "fix")
    yard.add(bad)

    assert yard.refusal(other)
    assert yard.refusal(repository.git("rev-parse", "HEAD")) is None


def test_word_in_a_message_that_is_no_trailer_declares_nothing(yard, repository):
    """A sentence about the trailer is not the trailer."""
    bad = repository.commit("feat: more")
    talk = repository.commit(f"docs: how\n\nWrite Fixes-Release: {bad} at the end.\n\nThat is all.")
    yard.add(bad)

    assert yard.refusal(talk)


def test_second_call_for_the_same_rollback_changes_nothing(yard, repository):
    """A retry whose first answer was lost, also after the commit was released."""
    bad = repository.commit()
    yard.add(bad)
    yard.add(bad, reason="said otherwise")
    assert [entry.reason for entry in yard.table.all()] == ["errors at 30%"]

    yard.release(bad, AT + timedelta(hours=1))
    yard.add(bad)

    assert yard.refusal(bad) is None


def test_commit_that_was_released_and_went_back_again_is_quarantined_again(yard, repository):
    """The record of the first time is kept."""
    bad = repository.commit()
    yard.add(bad)
    assert yard.release(bad, AT + timedelta(hours=1))

    yard.add(bad, at=AT + timedelta(hours=2), reason="errors again")

    assert "errors again" in yard.refusal(bad)
    [entry] = yard.table.all()
    [former] = [Entry.model_validate_json(text) for text in entry.earlier]
    assert (former.reason, former.released.reason) == ("errors at 30%", "a false alarm")


def test_commit_is_released_once(yard, repository):
    """Who released it first stands in the record."""
    bad = repository.commit()
    yard.add(bad)

    assert yard.release(bad, AT + timedelta(hours=1))
    assert not yard.release(bad, AT + timedelta(hours=2))
    assert not yard.release("0" * 40, AT)
    assert yard.table.get(bad).released.at == AT + timedelta(hours=1)


@pytest.fixture
def noted(production: Production, repository: Repository) -> dict[str, str]:
    """Two releases; the first is served, and a note says that the second was taken out."""
    shas = {"1": repository.commit(), "2": repository.commit("feat: more")}
    production.create("1.0.0", shas["1"])
    production.publish("1.1.0", shas["2"])
    note(production, "2")
    return shas


def note(
    production: Production, undone: str, live: str = "1", hand: Hand = Hand.BREAK_GLASS
) -> None:
    left = Note(hand=hand, by="alice", reason="customers call", at=AT, undone=undone)
    for function in (API, FETCHER):
        production.point(function, live, description=left.to_description())


def test_what_was_taken_out_by_hand_is_quarantined_once(yard, noted):
    """Two functions, asked twice: one record, with who and why."""
    assert [found.by for found in yard.reconcile()] == ["alice", "alice"]
    yard.reconcile()

    [entry] = yard.table.all()
    assert (entry.sha, entry.version, entry.at) == (noted["2"], "1.1.0", AT)
    assert entry.reason == "break-glass by alice: customers call"
    assert yard.refusal(noted["2"])


def test_what_was_done_by_hand_moves_the_deployment_record(yard, noted):
    """Two functions, asked twice: what serves is active, what was taken out says by whom."""
    yard.reconcile()
    yard.reconcile()

    record = DeploymentTable(yard.dynamodb, yard.name, "prod").all()
    assert {one.version: (one.status, one.reason, len(one.changes)) for one in record} == {
        "1.0.0": ("active", "", 1),
        "1.1.0": ("rolled_back", "break-glass by alice: customers call", 1),
    }


def test_what_the_guard_took_out_is_quarantined(yard, noted, production):
    """The guard is no person."""
    note(production, "2", hand=Hand.GUARD)

    yard.reconcile()

    assert [entry.reason for entry in yard.table.all()] == ["guard: customers call"]


def test_note_that_is_still_there_does_not_undo_a_release(yard, noted):
    """Somebody decided after the note was written."""
    yard.reconcile()
    yard.release(noted["2"], AT + timedelta(hours=1))

    yard.reconcile()

    assert yard.refusal(noted["2"]) is None


def test_going_on_to_a_newer_release_by_hand_quarantines_nothing(yard, noted, production):
    """The newer one contains the older one, and would be kept out by it."""
    note(production, "1", live="2")

    assert len(yard.reconcile()) == 2
    assert yard.table.all() == []


@pytest.mark.parametrize("undone", ["", "99"])
def test_note_of_a_version_that_is_not_there_is_only_returned(yard, noted, production, undone):
    """A pruned version names no commit any more; the admission does not fail for it."""
    note(production, undone)

    assert len(yard.reconcile()) == 2
    assert yard.table.all() == []


def test_alias_without_a_note_has_nothing_to_tell(yard, noted, production):
    """The usual case."""
    production.serve("1")

    assert yard.reconcile() == []

"""Quarantine: what went back is written down, and kept from production until it is fixed."""

from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.deployment_table import DeploymentTable
from activities.git import git, is_ancestor
from activities.inputs import AliasInput, QuarantineCheckInput, QuarantineInput, ReconcileInput
from activities.quarantine_table import QuarantineTable
from release.deployment import PRODUCTION, Change, DeploymentStatus
from release.deployments import known_by_name
from release.lease import Note
from release.quarantine import TRAILER, Entry, blocking, reason_of, refusal


class Quarantine:
    """The records lie in the environment's table; what descends from what, git says."""

    def __init__(self, dynamodb: Any, repository: Path, lambda_: Any = None) -> None:
        self._dynamodb = dynamodb
        self._repository = repository
        self._lambda = lambda_

    @activity.defn
    def quarantine(self, order: QuarantineInput) -> None:
        """The commit, and what descends from it without a declared fix, stays out of production.

        Asked again for the same rollback it changes nothing. A commit that was released and went
        back again is quarantined again.
        """
        entry = Entry(
            sha=order.sha,
            version=order.version,
            promotion=order.promotion,
            reason=order.reason,
            at=order.at,
        )
        QuarantineTable(self._dynamodb, order.table).add(entry)

    @activity.defn
    def refuse_quarantined(self, order: QuarantineCheckInput) -> None:
        """Nothing that was rolled back, unfixed and not released, is in the commit.

        Raises:
            ApplicationError: not retryable, `Quarantined`; which commit, why, and what to do.
        """
        text = self.refusal(order)
        if text is not None:
            raise ApplicationError(text, type="Quarantined", non_retryable=True)

    @activity.defn
    def reconcile(self, order: ReconcileInput) -> list[Note]:
        """What was done past Temporal is in both records; the notes that the aliases carry.

        A version that Lambda no longer has, or that names no commit, is only in the note. So is
        one from which somebody went on to a newer release: quarantined it would keep that out.
        """
        notes = []
        for alias in order.aliases:
            live = self._lambda.get_alias(FunctionName=alias.function, Name=alias.alias)
            note = Note.from_description(live.get("Description", ""))
            if note is None:
                continue
            notes.append(note)
            entry = self._entry_of(note, alias, live["FunctionVersion"])
            if entry is not None:
                QuarantineTable(self._dynamodb, order.table).add(entry)
            self._follow(note, entry, self._release(alias.function, live["FunctionVersion"]), order)
        return notes

    def _follow(
        self,
        note: Note,
        entry: Entry | None,
        serving: tuple[str, str] | None,
        order: ReconcileInput,
    ) -> None:
        """The deployment record says what is served since, and what was taken out for it."""
        told = []
        if serving is not None:
            change = Change(at=note.at, status=DeploymentStatus.ACTIVE)
            told.append(known_by_name(*serving, change))
        if entry is not None:
            change = Change(at=note.at, status=DeploymentStatus.ROLLED_BACK, reason=entry.reason)
            told.append(known_by_name(entry.version, entry.sha, change))
        DeploymentTable(self._dynamodb, order.table, PRODUCTION).record(told)

    def refusal(self, order: QuarantineCheckInput) -> str | None:
        """Why the commit may not be promoted, or None."""
        entries = QuarantineTable(self._dynamodb, order.table).all()
        found = blocking(
            entries,
            contains=lambda sha: sha == order.sha or is_ancestor(self._repository, sha, order.sha),
            fixes=lambda sha: self._fixes(sha, order.sha),
        )
        return refusal(order.sha, found) if found else None

    def _fixes(self, quarantined: str, promoted: str) -> list[str]:
        log = f"--format=%(trailers:key={TRAILER},valueonly,unfold)"
        done = git(self._repository, "log", log, f"{quarantined}..{promoted}")
        return [line for line in done.stdout.splitlines() if line] if done.returncode == 0 else []

    def _entry_of(self, note: Note, alias: AliasInput, live: str) -> Entry | None:
        undone = self._release(alias.function, note.undone) if note.undone else None
        serving = self._release(alias.function, live)
        if undone is None or (serving and is_ancestor(self._repository, undone[1], serving[1])):
            return None
        release, sha = undone
        return Entry(
            sha=sha,
            version=release,
            promotion=f"{alias.function}:{alias.alias}",
            reason=reason_of(note),
            at=note.at,
        )

    def _release(self, function: str, version: str) -> tuple[str, str] | None:
        """Release and commit of a version, by its description."""
        try:
            found = self._lambda.get_function_configuration(
                FunctionName=function, Qualifier=version
            )
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return None
        release, _, sha = found.get("Description", "").partition(" ")
        is_commit = len(sha) == 40 and set(sha) <= set("0123456789abcdef")
        return (release, sha) if is_commit else None

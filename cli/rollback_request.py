"""What a rollback is asked to do, from what Lambda and git know of the wanted release."""

from datetime import datetime
from typing import Any

from cli import aws, production
from cli.commits import Commits
from cli.errors import CliError
from cli.production import Live
from release.policy import Policy
from release.quarantine import reason_of
from release.rollback import AliasTarget, RollbackRequest, Source, Undone
from release.way_back import named

Versions = dict[str, dict[str, str]]
"""Function's full name → its versions, number → "<release> <sha>", oldest release first."""


def rollback_request(
    repository: Commits, policy: Policy, wanted: str | None, name: str, reason: str
) -> RollbackRequest:
    """Every function to its version of the release; empty where Lambda has none any more.

    Raises:
        AlreadyServed: production serves it.
        CliError: neither Lambda nor git knows the release, or it was never behind production.
    """
    client = aws.client("lambda")
    now = production.live(policy, "prod", client)
    if now is None:
        raise CliError("production has no release yet")
    with aws.asking("say which versions there are"):
        versions = _versions(repository, policy, client)
    release = _release(repository, now, versions, wanted)
    source = _source(repository, policy, release)
    return RollbackRequest(
        service=policy.service,
        release=release,
        targets=_targets(policy, versions, release, source),
        requested_by=name,
        reason=reason,
        source=source,
        table=policy.table_name("prod"),
        undone=_undone(
            repository,
            policy.table_name("prod"),
            now,
            versions[now.function],
            release.partition(" ")[2],
            f"rolled back by {name}: {reason}",
        ),
        policy=policy,
    )


def _versions(repository: Commits, policy: Policy, client: Any) -> Versions:
    names = sorted(policy.functions, key=lambda name: name != policy.api)
    functions = [policy.function_name(name, "prod") for name in names]
    return {
        function: repository.in_order(production.released_versions(function, client))
        for function in functions
    }


def _release(repository: Commits, now: Live, versions: Versions, wanted: str | None) -> str:
    """The wanted release as "<release> <sha>"."""
    own = versions[now.function]
    if wanted is not None and named(own, wanted) is None:
        pruned = _pruned(repository, versions, wanted)
        if pruned is not None:
            return pruned
    number = production.rollback_target(now, own, wanted)
    if number not in own:
        raise CliError(f"{now.function} has no version {number} any more; name a release with --to")
    return own[number]


def _pruned(repository: Commits, versions: Versions, wanted: str) -> str | None:
    """The release that Lambda has no version of, by its tag or its commit.

    Only what a published release was made from goes back: anything else was never approved.
    """
    sha = repository.find_release(wanted)
    if sha is None:
        return None
    texts = {text for known in versions.values() for text in known.values()}
    released = [text.partition(" ")[2] for text in texts]
    if not any(repository.is_ancestor(sha, of) for of in released):
        return None
    known = next((text for text in texts if text.endswith(f" {sha}")), None)
    return known or f"{repository.version(sha)} {sha}"


def _source(repository: Commits, policy: Policy, release: str) -> Source | None:
    version, _, sha = release.partition(" ")
    folders = repository.sources(sha) if sha else None
    if folders is None:
        return None
    return Source(
        sha=sha,
        version=version,
        bucket=policy.artifact_bucket,
        folders={policy.function_name(name, "prod"): folder for name, folder in folders.items()},
    )


def _targets(
    policy: Policy, versions: Versions, release: str, source: Source | None
) -> tuple[AliasTarget, ...]:
    targets = []
    for function, known in versions.items():
        number = next((n for n, text in reversed(known.items()) if text == release), "")
        if not number and source is None:
            raise CliError(f"{function} has no version of {release}, and git has no such commit")
        if not number and source is not None and function not in source.folders:
            continue  # the release is older than the function, which stays as it is
        targets.append(AliasTarget(function=function, alias=policy.alias, version=number))
    return tuple(targets)


def _undone(
    repository: Commits, table: str, now: Live, versions: dict[str, str], target: str, reason: str
) -> tuple[Undone, ...]:
    """What goes out of service, and what a note says went before: the note will be gone.

    Nothing that the target contains: on the way to a newer release that would keep it out.
    """
    note = now.note
    left: list[tuple[str, str, datetime | None]] = [(now.canary or now.version, reason, None)]
    if note is not None:
        # by its own time: somebody may have released the commit since
        left.append((note.undone, reason_of(note), note.at))
    found = []
    for number, why, at in left:
        version, _, sha = versions.get(number, "").partition(" ")
        if len(sha) == 40 and sha != target and not repository.is_ancestor(sha, target):
            found.append(
                Undone(sha=sha, version=version, reason=why, at=at, table=table, number=number)
            )
    return tuple(found)

"""`starter.py diff`: what one release has that another has not."""

from typing import Any

from pydantic import Field

from activities.git import git
from cli.commits import Commits
from cli.errors import OK, CliError
from cli.history import deployments
from cli.promotions import commits
from release.deployment import PRODUCTION, STAGING, Deployment
from release.message import Message
from release.policy import Policy
from release.version import plain

_CHANGELOG, _POLICY = "CHANGELOG.md", "release.toml"


class Commit(Message):
    """A commit, as a person names it."""

    sha: str
    author: str
    subject: str


class Release(Message):
    """A version and its commit; artifacts only where the record has it."""

    version: str
    commit: str
    artifacts: dict[str, str] = Field({}, description="function → SHA-256 of its zip")


class Difference(Message):
    """From one release to another."""

    before: Release
    after: Release
    commits: tuple[Commit, ...]
    left_out: tuple[Commit, ...]
    artifacts: dict[str, str]
    policy_changed: bool
    changelog: tuple[str, ...]


def run(arguments: Any) -> int:
    """Print the difference of two releases."""
    repository = commits()
    policy = repository.policy(repository.resolve(repository.branch))
    before, after = (_release(repository, policy, name) for name in (arguments.old, arguments.new))
    found = difference(repository, before, after)
    if arguments.json:
        print(found.model_dump_json())
    else:
        _print(found)
    return OK


def difference(repository: Commits, before: Release, after: Release) -> Difference:
    """What `after` has that `before` has not, and the commits that it lacks."""

    def ask(*arguments: str) -> str:
        return git(repository.repository, *arguments).stdout

    def between(one: str, other: str) -> tuple[Commit, ...]:
        log = ask("log", "--format=%H%x00%an%x00%s", f"{one}..{other}")
        parts = [line.split("\0") for line in log.splitlines()]
        return tuple(Commit(sha=sha, author=who, subject=what) for sha, who, what in parts)

    span = (before.commit, after.commit)
    changes = ask("diff", "--unified=0", *span, "--", _CHANGELOG).splitlines()
    return Difference(
        before=before,
        after=after,
        commits=between(*span),
        left_out=between(*reversed(span)),
        artifacts={name: _bytes(name, before, after) for name in _functions(before, after)},
        policy_changed=bool(ask("diff", "--name-only", *span, "--", _POLICY)),
        changelog=tuple(
            line[1:] for line in changes if line[:1] == "+" and line[:3] != "+++" and line[1:]
        ),
    )


def _release(repository: Commits, policy: Policy, wanted: str) -> Release:
    """The release by its record in either environment, or by its tag."""
    name = wanted.removeprefix("v")
    there = [one for place in (PRODUCTION, STAGING) for one in deployments(policy, place)]
    tags = [Release(version=version, commit=commit) for version, commit in repository.tags()]
    recorded = [
        Release(version=one.version, commit=one.git_commit, artifacts=one.artifacts)
        for one in _with_artifacts_first(there)
    ]
    for one in (*recorded, *tags):
        if name in (one.version, plain(one.version)):
            if git(repository.repository, "cat-file", "-e", one.commit).returncode:
                raise CliError(f"git lacks {one.commit[:12]}, the commit of {wanted}; fetch it")
            return one
    known = list(dict.fromkeys(one.version for one in (*recorded, *tags)))
    there_is = f"there is: {', '.join(known)}" if known else "there is none yet"
    raise CliError(f"no release {wanted!r}; {there_is}")


def _with_artifacts_first(found: list[Deployment]) -> list[Deployment]:
    return sorted(found, key=lambda one: not one.artifacts)


def _functions(before: Release, after: Release) -> list[str]:
    return sorted({*before.artifacts, *after.artifacts})


def _bytes(name: str, before: Release, after: Release) -> str:
    old, new = before.artifacts.get(name), after.artifacts.get(name)
    if not before.artifacts or not after.artifacts:
        return "unknown"
    if old is None or new is None:
        return "new" if old is None else "gone"
    return "same" if old == new else "changed"


def _print(found: Difference) -> None:
    before, after = found.before, found.after
    print(f"{before.version} ({before.commit[:12]}) → {after.version} ({after.commit[:12]})")
    _print_group("commits", _lines(found.commits), "none")
    if found.left_out:
        _print_group(f"in {before.version} only", _lines(found.left_out), "")
    artifacts = [f"{name:<12} {what}" for name, what in found.artifacts.items()]
    _print_group("artifacts", artifacts, "unknown: the record has no hashes of either")
    _print_group(_POLICY, [], "changed" if found.policy_changed else "the same")
    _print_group(_CHANGELOG, list(found.changelog), "no new lines")


def _print_group(title: str, lines: list[str], otherwise: str) -> None:
    print(f"\n{title}")
    for line in lines or [otherwise]:
        print(f"  {line}")


def _lines(found: tuple[Commit, ...]) -> list[str]:
    width = max((len(one.author) for one in found), default=0)
    return [f"{one.sha[:12]}  {one.author:<{width}}  {one.subject}" for one in found]

"""What a release leaves in the worker's own repository: its tag, and its changelog on a branch."""

import tempfile
from pathlib import Path

from temporalio import activity

from activities.git_write import GitRepository
from activities.release_inputs import ChangelogInput, TagInput
from activities.release_words import (
    by_hand,
    cannot,
    changelog_branch,
    closed,
    moved,
    no_changelog,
    tag_name,
    title,
    unclosed,
)
from release.changelog import FILE, has_release

_FETCH = "fetch it there, or set RELEASE_REPOSITORY"


class GitRelease:
    """Adds a tag and a branch; every other ref, the index and the working tree stay as they are."""

    def __init__(self, repository: Path, branch: str) -> None:
        self._folder = repository
        self._branch = branch

    @activity.defn
    def tag_release(self, order: TagInput) -> str:
        """The commit has the annotated tag, told in words; one that is there already is no second.

        Raises:
            ApplicationError: not retryable when the tag is another commit's: it is never moved.
        """
        repository = GitRepository(self._folder, order.at)
        sha = repository.commit(order.sha, _FETCH)
        name = tag_name(order.version)
        has = _tagged(repository, name)
        if has is None:
            repository.tell("tag", "--annotate", "--no-sign", "-m", order.message, name, sha)
        elif has != sha:
            raise moved(name, has, sha)
        return f"{name} on {sha[:12]}{_to_publish(repository, name)}"

    @activity.defn
    def write_changelog(self, order: ChangelogInput) -> str:
        """A branch has one commit on the release branch's tip which closes the release.

        A branch of that name that closes it is taken for ours: it is written once.

        Raises:
            ApplicationError: not retryable when there is nothing to close it in.
        """
        repository = GitRepository(self._folder, order.live_at)
        repository.commit(order.sha, _FETCH)
        tip = repository.commit(self._branch, "set RELEASE_BRANCH")
        text = _changelog(repository, tip)
        name = changelog_branch(order.version)
        if has_release(text, order.version):
            return f"{FILE} of {self._branch} has it already"
        if repository.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{name}") is None:
            before = _before(repository, unclosed(text, order))
            new = closed(text, _changelog(repository, order.sha), order, before)
            _add_branch(repository, name, tip, new, title(order.version))
        elif not has_release(_changelog(repository, f"refs/heads/{name}"), order.version):
            raise cannot(
                f"branch {name} closes no {order.version}: rename it, and {by_hand(order)}"
            )
        return f"branch {name}; `git merge {name}` on {self._branch} takes it"


def _tagged(repository: GitRepository, name: str) -> str | None:
    """What the tag is on, whether it is annotated or not; None without such a tag."""
    shown = "--format=%(objectname) %(*objectname)"
    found = repository.tell("for-each-ref", shown, f"refs/tags/{name}").split()
    return found[-1] if found else None


def _to_publish(repository: GitRepository, name: str) -> str:
    remotes = repository.tell("remote").split()
    if not remotes:
        return ""
    remote = "origin" if "origin" in remotes else remotes[0]
    return f"; `git push {remote} {name}` publishes it"


def _changelog(repository: GitRepository, revision: str) -> str:
    data = repository.ask("cat-file", "blob", f"{revision}:{FILE}")
    if data is None:
        raise no_changelog(revision)
    return data.decode(errors="surrogateescape")


def _before(repository: GitRepository, tag: str | None) -> str:
    """The changelog of the release before, if there is one that nobody has merged."""
    data = repository.ask("cat-file", "blob", f"refs/tags/{tag}:{FILE}") if tag else None
    return (data or b"").decode(errors="surrogateescape")


def _add_branch(repository: GitRepository, name: str, tip: str, text: str, message: str) -> None:
    """Through an index of its own: neither the working tree nor the user's index is touched."""
    if repository.ask("rev-parse", "--verify", "--quiet", "refs/heads/changelog") is not None:
        raise cannot(f"a branch `changelog` is in the way of {name}: rename that one")
    data = text.encode(errors="surrogateescape")
    mode = repository.tell("ls-tree", tip, FILE).split()[0]
    blob = repository.tell("hash-object", "-w", "--stdin", stdin=data)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        repository.tell("read-tree", tip, index=index)
        repository.tell("update-index", "--cacheinfo", f"{mode},{blob},{FILE}", index=index)
        tree = repository.tell("write-tree", index=index)
    commit = repository.tell("commit-tree", tree, "-p", tip, "-m", message)
    # the empty old value: only if there is no such branch yet
    repository.tell("update-ref", f"refs/heads/{name}", commit, "")

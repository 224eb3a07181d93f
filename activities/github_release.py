"""What a release leaves on GitHub: its tag, and a pull request with its changelog."""

from base64 import b64encode

from pydantic import TypeAdapter
from temporalio import activity

from activities.github_call import GitHubCalls, read, repository_path
from activities.github_made import File, FileCommit, Pull
from activities.github_refs import CONTENTS, GitHubRefs, found_or_made
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

_PULLS = "pull_requests=write"
_FILE, _FILE_COMMIT = TypeAdapter(File), TypeAdapter(FileCommit)
_PULL, _FOUND_PULLS = TypeAdapter(Pull), TypeAdapter(tuple[Pull, ...])
_BODY = """\
Production runs {tag}. This closes it in the changelog: what stood under Unreleased in the
released commit has a section of its own. What was merged since stays under Unreleased.
"""


class GitHubRelease:
    """Makes each thing once: a retry finds what an earlier attempt made."""

    def __init__(self, calls: GitHubCalls, branch: str) -> None:
        self._calls = calls
        self._branch = branch

    @activity.defn
    def tag_on_github(self, order: TagInput) -> str:
        """The commit has the annotated tag, told in words.

        Raises:
            ApplicationError: a `GitHubProblem`; or, not retryable, the tag is another commit's:
                it is never moved.
        """
        name = tag_name(order.version)
        refs = GitHubRefs(self._calls, order.repository)
        has = found_or_made(
            lambda: refs.commit(f"tags/{name}"),
            lambda: refs.add_tag(name, order.sha, order.message),
        )
        if has != order.sha:
            raise moved(name, has, order.sha)
        return f"{name} on {order.sha[:12]} in {order.repository}"

    @activity.defn
    def propose_changelog(self, order: ChangelogInput) -> str:
        """A pull request closes the release in the changelog, told by its address.

        Nothing is made where there is nothing to close it in, or the branch has it already.

        Raises:
            ApplicationError: a `GitHubProblem`; or, not retryable, what is missing.
        """
        name = changelog_branch(order.version)
        refs = GitHubRefs(self._calls, order.repository)
        tip = refs.commit(f"heads/{self._branch}")
        if tip is None:
            raise cannot(f"{order.repository} has no branch {self._branch}; set RELEASE_BRANCH")
        text = self._file(order, tip).text
        if has_release(text, order.version):
            return f"{FILE} of {self._branch} has it already"
        released = self._file(order, order.sha).text
        before = self._before(order, unclosed(text, order))
        closed(
            text, released, order, before
        )  # what cannot be closed is said before a branch is made
        found_or_made(lambda: refs.commit(f"heads/{name}"), lambda: refs.add_branch(name, tip))
        found_or_made(
            lambda: self._closed_on(order, name),
            lambda: self._close(order, name, released, before),
        )
        pull = found_or_made(
            lambda: self._find_pull(order, name), lambda: self._open_pull(order, name)
        )
        return f"pull request {pull.html_url}" + ("" if pull.state == "open" else f", {pull.state}")

    def _file(self, order: ChangelogInput, ref: str) -> File:
        path = f"{repository_path(order.repository)}/contents/{FILE}"
        answer = self._calls.find(path, CONTENTS, ref=ref)
        if answer is None:
            raise no_changelog(ref)
        file = read(answer, _FILE)
        if file.encoding != "base64":
            # GitHub's: "none" above 1 MB
            raise cannot(f"{FILE} is too large for GitHub to hand out; {by_hand(order)}")
        return file

    def _closed_on(self, order: ChangelogInput, name: str) -> str | None:
        text = self._file(order, name).text
        return text if has_release(text, order.version) else None

    def _before(self, order: ChangelogInput, tag: str | None) -> str:
        """The changelog of the release before, if there is one that nobody has merged."""
        if tag is None or GitHubRefs(self._calls, order.repository).commit(f"tags/{tag}") is None:
            return ""
        return self._file(order, f"refs/tags/{tag}").text

    def _close(self, order: ChangelogInput, name: str, released: str, before: str) -> str:
        file = self._file(order, name)
        text = closed(file.text, released, order, before)
        content = b64encode(text.encode(errors="surrogateescape")).decode()
        body = {"message": title(order.version), "content": content}
        path = f"{repository_path(order.repository)}/contents/{FILE}"
        # the file's own sha: GitHub refuses if the branch has another one by now
        body |= {"sha": file.sha, "branch": name}
        read(self._calls.put(path, CONTENTS, body), _FILE_COMMIT)
        return text

    def _find_pull(self, order: ChangelogInput, name: str) -> Pull | None:
        owner = order.repository.partition("/")[0]
        path = f"{repository_path(order.repository)}/pulls"
        query = {"head": f"{owner}:{name}", "base": self._branch, "state": "all"}
        found = read(self._calls.get(path, _PULLS, **query), _FOUND_PULLS)
        return found[0] if found else None  # newest first

    def _open_pull(self, order: ChangelogInput, name: str) -> Pull:
        body = {"title": title(order.version), "head": name, "base": self._branch}
        body |= {"body": _BODY.format(tag=tag_name(order.version))}
        path = f"{repository_path(order.repository)}/pulls"
        return read(self._calls.post(path, _PULLS, body), _PULL)

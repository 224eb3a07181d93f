"""Tags and branches of a GitHub repository, and how a thing is made once."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError

from activities.github_call import GitHubCalls, read, repository_path
from activities.github_made import Ref, Tag
from release.github import GitHubProblem

CONTENTS = "contents=write"
_REF, _TAG = TypeAdapter(Ref), TypeAdapter(Tag)
T = TypeVar("T")


def found_or_made(find: Callable[[], T | None], make: Callable[[], T]) -> T:
    """What is there already, else what is made now.

    Another attempt may be faster: when GitHub refuses ("already exists"), it is looked for again.
    """
    found = find()
    if found is not None:
        return found
    try:
        return make()
    except ApplicationError as error:
        if error.type != GitHubProblem.REFUSED or (found := find()) is None:
            raise
        return found


class GitHubRefs:
    """One repository's."""

    def __init__(self, calls: GitHubCalls, repository: str) -> None:
        self._calls = calls
        self._git = f"{repository_path(repository)}/git"

    def commit(self, ref: str) -> str | None:
        """The commit of `heads/…` or `tags/…`, through an annotated tag too; None without one."""
        answer = self._calls.find(f"{self._git}/ref/{ref.replace('/', '%2F')}", CONTENTS)
        if answer is None:
            return None
        found = read(answer, _REF).object
        while found.type == "tag":
            found = read(self._calls.get(f"{self._git}/tags/{found.sha}", CONTENTS), _TAG).object
        return found.sha

    def add_branch(self, name: str, sha: str) -> str:
        """The commit of the new branch."""
        self._calls.post(f"{self._git}/refs", CONTENTS, {"ref": f"refs/heads/{name}", "sha": sha})
        return sha

    def add_tag(self, name: str, sha: str, message: str) -> str:
        """The commit of the new annotated tag, whose author is the token's."""
        body = {"tag": name, "message": message, "object": sha, "type": "commit"}
        made = read(self._calls.post(f"{self._git}/tags", CONTENTS, body), _TAG)
        ref = {"ref": f"refs/tags/{name}", "sha": made.sha}
        self._calls.post(f"{self._git}/refs", CONTENTS, ref)
        return sha

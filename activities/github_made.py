"""The shapes of what a record makes on GitHub: the fields that are read.

What is required here GitHub's published description requires too; the rest may be missing.
"""

from typing import Any

from pydantic import Base64Bytes

from activities.github_answers import Answer


class GitObject(Answer):
    """What a ref or a tag is on."""

    sha: str
    type: str


class Ref(Answer):
    """GET /repos/{owner}/{repo}/git/ref/{ref}"""

    object: GitObject


class Tag(Answer):
    """POST /repos/{owner}/{repo}/git/tags, GET …/{tag_sha}"""

    sha: str
    object: GitObject


class File(Answer):
    """GET /repos/{owner}/{repo}/contents/{path}, of a file"""

    sha: str
    encoding: str
    content: Base64Bytes

    @property
    def text(self) -> str:
        """As it is, also where it is no UTF-8."""
        return self.content.decode(errors="surrogateescape")


class FileCommit(Answer):
    """PUT /repos/{owner}/{repo}/contents/{path}"""

    commit: dict[str, Any]


class Pull(Answer):
    """POST /repos/{owner}/{repo}/pulls, and an item of GET"""

    html_url: str
    state: str


class Deployment(Answer):
    """POST /repos/{owner}/{repo}/deployments, and an item of GET"""

    id: int
    payload: dict[str, Any] | str


class DeploymentStatus(Answer):
    """POST /repos/{owner}/{repo}/deployments/{id}/statuses, and an item of GET"""

    id: int
    state: str


class Issue(Answer):
    """POST /repos/{owner}/{repo}/issues, and an item of GET"""

    html_url: str
    body: str | None = None

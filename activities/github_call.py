"""One call of GitHub's REST API: its answer, or an error that Temporal understands."""

import re
import time
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from activities.github_errors import error_of, problem
from activities.inputs import REPOSITORY
from release.github import GitHubProblem

T = TypeVar("T")


class GitHubCalls:
    """Each raises an ApplicationError whose `type` is a `GitHubProblem`.

    `needs` is the permission that a call needs, in the words of GitHub's own header.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, needs: str, **query: str | int) -> httpx.Response:
        """The answer with status 200."""
        return self._call("GET", path, needs, (httpx.codes.OK,), params=query)

    def find(self, path: str, needs: str, **query: str | int) -> httpx.Response | None:
        """The same; or None for what GitHub has not, or hides: whoever then makes it is told."""
        expected = (httpx.codes.OK, httpx.codes.NOT_FOUND)
        answer = self._call("GET", path, needs, expected, params=query)
        return answer if answer.status_code == httpx.codes.OK else None

    def post(self, path: str, needs: str, body: dict[str, Any]) -> httpx.Response:
        """The answer with status 201: it was made now."""
        return self._call("POST", path, needs, (httpx.codes.CREATED,), json=body)

    def put(self, path: str, needs: str, body: dict[str, Any]) -> httpx.Response:
        """The answer with status 200 or 201: it is as the body says."""
        expected = (httpx.codes.OK, httpx.codes.CREATED)
        return self._call("PUT", path, needs, expected, json=body)

    def _call(
        self, method: str, path: str, needs: str, expected: tuple[int, ...], **content: Any
    ) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **content)
        except httpx.RequestError as error:
            text = f"GitHub did not answer {path}: {type(error).__name__} {error}"
            raise problem(GitHubProblem.UNAVAILABLE, text) from error
        if answer.status_code not in expected:
            raise error_of(answer, needs, time.time())
        return answer


def repository_path(repository: str) -> str:
    """Where a repository's calls lie.

    Raises:
        ApplicationError: not retryable when that is no owner/name.
    """
    if not re.fullmatch(REPOSITORY, repository):
        text = f"[ci] repository is {repository!r}; GitHub's are owner/name"
        raise problem(GitHubProblem.REFUSED, text, final=True)
    return f"/repos/{repository}"


def read(answer: httpx.Response, kind: TypeAdapter[T]) -> T:
    """The answer's body in our words."""
    try:
        return kind.validate_json(answer.content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        text = (
            f"GitHub's answer to {answer.request.url.path} is unreadable: {where}: {first['msg']}"
        )
        # a proxy's error page passes; an answer of another shape does not, and the retries are few
        raise problem(GitHubProblem.UNREADABLE, text) from None

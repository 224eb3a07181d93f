"""Issues on GitHub: one about one thing, however often it is asked for."""

from pydantic import TypeAdapter
from temporalio import activity

from activities.github_api import MAX_PAGES
from activities.github_call import GitHubCalls, read, repository_path
from activities.github_made import Issue
from activities.github_refs import found_or_made
from activities.release_inputs import IssueInput

_NEEDS = "issues=write"
_LONGEST_TITLE, _LONGEST_BODY = 256, 60_000  # GitHub's limits; of the body it takes 65,536
_MADE, _FOUND = TypeAdapter(Issue), TypeAdapter(tuple[Issue, ...])


class GitHubIssues:
    """Each issue carries its marker in a comment that GitHub does not show."""

    def __init__(self, calls: GitHubCalls) -> None:
        self._calls = calls

    @activity.defn
    def open_issue(self, order: IssueInput) -> str:
        """The address of the issue with this marker, open or closed by now; made if none has it.

        The list is read and not searched: GitHub's search knows a new issue only later.

        Raises:
            ApplicationError: a `GitHubProblem`.
        """
        path = f"{repository_path(order.repository)}/issues"
        comment = f"<!-- {order.marker.replace('>', '')} -->"
        return found_or_made(
            lambda: self._find(path, comment), lambda: self._make(path, order, comment)
        )

    def _find(self, path: str, comment: str) -> str | None:
        """Among the newest thousand: what is asked for again was made lately."""
        for page in range(1, MAX_PAGES + 1):
            query: dict[str, str | int] = {"state": "all", "per_page": 100, "page": page}
            answer = self._calls.get(path, _NEEDS, **query)
            for issue in read(answer, _FOUND):
                if comment in (issue.body or ""):
                    return issue.html_url
            if "next" not in answer.links:
                return None
        return None

    def _make(self, path: str, order: IssueInput, comment: str) -> str:
        body = f"{order.body[:_LONGEST_BODY]}\n\n{comment}\n"
        issue = {"title": order.title[:_LONGEST_TITLE], "body": body}
        return read(self._calls.post(path, _NEEDS, issue), _MADE).html_url

"""GitHub's REST API, as far as it is read: three calls, and the client for all."""

import re
from collections.abc import Callable, Generator, Iterator

import httpx
from pydantic import TypeAdapter

from activities.github_answers import Approval, CheckRunsPage, Run
from activities.github_call import GitHubCalls, read
from activities.github_errors import problem
from release.check_runs import CheckRun
from release.github import GitHubProblem, Review, WorkflowRun

API_URL = "https://api.github.com"  # an Enterprise Server has its own: https://<host>/api/v3
# of 2022-11-28, not of 2026-03-10: Enterprise Servers know it too; GitHub ends it in March 2028
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "crypto-watch-release",
}
# GitHub itself gives up after 10 s; two calls with their connects stay within 30 s
_TIMEOUT = httpx.Timeout(12, connect=3)
_PER_PAGE = 100
MAX_PAGES = 10
_ACTIONS, _CHECKS = "actions=read", "checks=read"  # in the words of GitHub's own header
_RUN, _APPROVALS = TypeAdapter(Run), TypeAdapter(tuple[Approval, ...])
_CHECK_RUNS = TypeAdapter(CheckRunsPage)


class TokenAuth(httpx.Auth):
    """Asks for the token at every request: an App's installation token lives for an hour."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with the token; httpx takes it off when a redirect leaves the host."""
        token = self._token().strip()
        # httpx repeats an illegal header in its error, which would put the secret into the history
        if not re.fullmatch(r"[!-~]+", token):
            text = "the secret with GitHub's token holds something else than a token"
            raise problem(GitHubProblem.UNAUTHORIZED, text, final=True)
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


def github_client(base_url: str, token: Callable[[], str]) -> httpx.Client:
    """A client of one GitHub, which threads may share.

    Raises:
        ValueError: the address would send the token in clear over a network.
    """
    url = httpx.URL(base_url)
    if url.scheme != "https" and url.host not in {"127.0.0.1", "localhost"}:
        raise ValueError(f"{base_url}: GitHub's API is spoken to over https only")
    return httpx.Client(
        base_url=url,
        headers=_HEADERS,
        auth=TokenAuth(token),
        timeout=_TIMEOUT,
        follow_redirects=True,  # a renamed repository answers with one
        max_redirects=3,
    )


class GitHubApi:
    """The readings; each raises an ApplicationError whose `type` is a `GitHubProblem`."""

    def __init__(self, client: httpx.Client) -> None:
        self._calls = GitHubCalls(client)

    def run(self, repository: str, run_id: int) -> WorkflowRun:
        """One run of a workflow, in its latest attempt."""
        path = f"/repos/{repository}/actions/runs/{run_id}"
        return read(self._calls.get(path, _ACTIONS), _RUN).value()

    def reviews(self, repository: str, run_id: int) -> tuple[Review, ...]:
        """A run's review history; the call is not paged, and promises no order."""
        path = f"/repos/{repository}/actions/runs/{run_id}/approvals"
        approvals = read(self._calls.get(path, _ACTIONS), _APPROVALS)
        return tuple(approval.value() for approval in approvals)

    def check_runs(self, repository: str, sha: str) -> Iterator[tuple[CheckRun, ...]]:
        """A commit's check runs, page by page; of repeated ones GitHub gives the latest.

        Raises:
            ApplicationError: also when `MAX_PAGES` were not enough, for then none can be missing.
        """
        path = f"/repos/{repository}/commits/{sha}/check-runs"
        for page in range(1, MAX_PAGES + 1):
            answer = self._calls.get(path, _CHECKS, filter="latest", per_page=_PER_PAGE, page=page)
            yield tuple(run.value() for run in read(answer, _CHECK_RUNS).check_runs)
            # the header says whether there is more, but its address is not followed: the token
            # goes where we are configured to send it
            if "next" not in answer.links:
                return
        text = f"{path} has more than {MAX_PAGES * _PER_PAGE} check runs; they were not all read"
        raise problem(GitHubProblem.REFUSED, text, final=True)

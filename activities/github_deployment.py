"""GitHub's deployments page: which commit went to production, and how that ended."""

from typing import Any

from pydantic import TypeAdapter
from temporalio import activity

from activities.github_call import GitHubCalls, read, repository_path
from activities.github_made import Deployment, DeploymentStatus
from activities.github_refs import found_or_made
from activities.release_inputs import GitHubDeploymentInput

_NEEDS = "deployments=write"
_LONGEST = 140  # GitHub's limit of a description
_MADE, _FOUND = TypeAdapter(Deployment), TypeAdapter(tuple[Deployment, ...])
_STATUS, _STATUSES = TypeAdapter(DeploymentStatus), TypeAdapter(tuple[DeploymentStatus, ...])


class GitHubDeployments:
    """One deployment per run of a promotion, known by its payload, with one status."""

    def __init__(self, calls: GitHubCalls) -> None:
        self._calls = calls

    @activity.defn
    def show_deployment_on_github(self, order: GitHubDeploymentInput) -> str:
        """GitHub shows the commit's deployment as ended, told in words.

        Raises:
            ApplicationError: a `GitHubProblem`.
        """
        path = f"{repository_path(order.repository)}/deployments"
        number = found_or_made(lambda: self._find(path, order), lambda: self._make(path, order))
        statuses = f"{path}/{number}/statuses"
        state = "success" if order.succeeded else "failure"
        found_or_made(
            lambda: self._find_status(statuses, state),
            lambda: self._set_status(statuses, state, order),
        )
        return f"deployment {number} of {order.environment} in {order.repository}: {state}"

    def _find(self, path: str, order: GitHubDeploymentInput) -> int | None:
        query = {"sha": order.sha, "environment": order.environment}
        for found in read(self._calls.get(path, _NEEDS, **query, per_page=100), _FOUND):
            if isinstance(found.payload, dict) and found.payload.get("run_id") == order.run_id:
                return found.id
        return None

    def _make(self, path: str, order: GitHubDeploymentInput) -> int:
        body = {
            "ref": order.sha,
            "environment": order.environment,
            "production_environment": True,
            "description": f"Release v{order.version}"[:_LONGEST],
            "payload": {"promotion": order.promotion, "run_id": order.run_id},
            # it has happened: GitHub is neither to merge main into the commit, nor to refuse it
            "auto_merge": False,
            "required_contexts": [],
        }
        return read(self._calls.post(path, _NEEDS, body), _MADE).id

    def _find_status(self, path: str, state: str) -> int | None:
        found = read(self._calls.get(path, _NEEDS, per_page=100), _STATUSES)
        return next((status.id for status in found if status.state == state), None)

    def _set_status(self, path: str, state: str, order: GitHubDeploymentInput) -> int:
        body: dict[str, Any] = {"state": state, "description": order.reason[:_LONGEST]}
        if order.log_url:
            body["log_url"] = order.log_url
        return read(self._calls.post(path, _NEEDS, body), _STATUS).id

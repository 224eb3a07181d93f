"""What GitHub knows of a commit: the review of its deployment, and its check runs. Only read."""

from datetime import UTC, datetime

from temporalio import activity

from activities.github_api import GitHubApi
from activities.inputs import CheckRunsInput, ReviewInput
from release.check_runs import CheckRun, CheckRuns, newest_by_name
from release.github import EnvironmentReview, judge_review


class GitHub:
    """Reads GitHub at the moment it is asked; nothing is remembered."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    @activity.defn
    def read_environment_review(self, order: ReviewInput) -> EnvironmentReview:
        """What GitHub's own review says; whoever carries the run's number here proves nothing.

        Raises:
            ApplicationError: GitHub could not be read, which says nothing of the review. Its type
                is a `GitHubProblem`; a rate limit says itself when to try again, and a missing
                run or permission is not retryable.
        """
        run = self._api.run(order.repository, order.run_id)
        reviews = self._api.reviews(order.repository, order.run_id)
        return judge_review(
            run,
            reviews,
            sha=order.sha,
            environment=order.environment,
            workflow=order.workflow,
            read_at=datetime.now(UTC),
        )

    @activity.defn
    def read_check_runs(self, order: CheckRunsInput) -> CheckRuns:
        """The newest run of each check of the commit; a heartbeat after every page.

        Raises:
            ApplicationError: as above; also when there are more check runs than are read.
        """
        found: list[CheckRun] = []
        for page in self._api.check_runs(order.repository, order.sha):
            found += page
            activity.heartbeat(len(found))
        # what GitHub attributes to another commit is evidence of that one
        mine = (run for run in found if run.sha == order.sha)
        return CheckRuns(sha=order.sha, runs=newest_by_name(mine), read_at=datetime.now(UTC))

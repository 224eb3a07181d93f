"""What GitHub's own review of a deployment says: by whom, for which commit and environment."""

from datetime import datetime
from enum import StrEnum

from release.message import Message


class GitHubProblem(StrEnum):
    """Why GitHub could not be read: the `type` of the error that the activity raises."""

    NOT_FOUND = "GitHubNotFound"
    UNAUTHORIZED = "GitHubUnauthorized"
    FORBIDDEN = "GitHubForbidden"
    RATE_LIMITED = "GitHubRateLimited"
    UNAVAILABLE = "GitHubUnavailable"
    UNREADABLE = "GitHubUnreadable"
    REFUSED = "GitHubRefused"


class ReviewState(StrEnum):
    """What a reviewer said; pending is a comment of a protection rule that has not decided."""

    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING = "pending"


class Review(Message):
    """One entry of a run's review history. GitHub tells neither its time nor the run's attempt."""

    reviewer: str
    state: ReviewState
    comment: str
    environments: tuple[str, ...]


class WorkflowRun(Message):
    """A run of a GitHub Actions workflow; a re-run has the same id and commit, a later attempt."""

    id: int
    sha: str
    url: str
    workflow: str
    event: str
    attempt: int
    status: str | None
    actor: str | None


class ReviewOutcome(StrEnum):
    """What a run's review history says of one environment and one commit."""

    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_REVIEWED = "not reviewed"
    OTHER_ENVIRONMENT = "another environment"
    OTHER_COMMIT = "another commit"
    OTHER_WORKFLOW = "another workflow"


class EnvironmentReview(Message):
    """GitHub's review of one environment, as it was when it was read."""

    outcome: ReviewOutcome
    reason: str
    environment: str
    run: WorkflowRun
    reviews: tuple[Review, ...]
    read_at: datetime

    @property
    def approvers(self) -> tuple[str, ...]:
        """Logins whose approval this is; nobody unless the outcome is approved."""
        return _approvers(self.reviews) if self.outcome is ReviewOutcome.APPROVED else ()


def judge_review(
    run: WorkflowRun,
    reviews: tuple[Review, ...],
    *,
    sha: str,
    environment: str,
    workflow: str | None,
    read_at: datetime,
) -> EnvironmentReview:
    """What these reviews say of this commit's deployment to this environment.

    One rejection outweighs every approval: reviews carry no time, so which came last is unknown.
    GitHub compares names of environments without regard to case, and so does this.
    """
    mine = tuple(review for review in reviews if _is_about(review, environment))
    outcome, reason = _other_run(run, sha, workflow) or _said(run, reviews, mine, environment)
    return EnvironmentReview(
        outcome=outcome,
        reason=reason,
        environment=environment,
        run=run,
        reviews=mine,
        read_at=read_at,
    )


def refuse_review(review: EnvironmentReview) -> str | None:
    """Why this review lets nothing into production, or None."""
    return None if review.outcome is ReviewOutcome.APPROVED else review.reason


def _other_run(
    run: WorkflowRun, sha: str, workflow: str | None
) -> tuple[ReviewOutcome, str] | None:
    if run.sha != sha:
        return ReviewOutcome.OTHER_COMMIT, f"{run.url} ran {run.sha[:12]}, not {sha[:12]}"
    # "path@ref", or the path alone
    if workflow is not None and run.workflow.partition("@")[0] != workflow:
        return ReviewOutcome.OTHER_WORKFLOW, f"{run.url} is a run of {run.workflow}, not {workflow}"
    return None


def _said(
    run: WorkflowRun, reviews: tuple[Review, ...], mine: tuple[Review, ...], environment: str
) -> tuple[ReviewOutcome, str]:
    where = f"{environment} on {run.url}"
    for review in mine:
        if review.state is ReviewState.REJECTED:
            because = f": {review.comment}" if review.comment else ""
            return ReviewOutcome.REJECTED, f"{review.reviewer} rejected {where}{because}"
    if approvers := ", ".join(_approvers(mine)):
        return ReviewOutcome.APPROVED, f"{approvers} approved {where}"
    others = ", ".join(sorted({name for review in reviews for name in review.environments}))
    if others and not mine:
        reason = f"{run.url} has a review of {others}, none of {environment}"
        return ReviewOutcome.OTHER_ENVIRONMENT, reason
    # an environment without required reviewers lets every job through, and nobody reviews anything
    return ReviewOutcome.NOT_REVIEWED, f"nobody has reviewed {where}; has it required reviewers?"


def _approvers(reviews: tuple[Review, ...]) -> tuple[str, ...]:
    said_yes = (review.reviewer for review in reviews if review.state is ReviewState.APPROVED)
    return tuple(dict.fromkeys(said_yes))


def _is_about(review: Review, environment: str) -> bool:
    return environment.casefold() in {name.casefold() for name in review.environments}

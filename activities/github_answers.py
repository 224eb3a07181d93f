"""The shapes of GitHub's answers: the fields that are read, and the values they become.

What is required here GitHub's published description requires too; the rest may be missing.
"""

from pydantic import BaseModel, ConfigDict

from release.check_runs import CheckRun
from release.github import Review, ReviewState, WorkflowRun


class Answer(BaseModel):
    """GitHub adds fields at any time: unknown ones are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class User(Answer):
    """Somebody, or some program, with an account."""

    login: str


class Run(Answer):
    """GET /repos/{owner}/{repo}/actions/runs/{run_id}"""

    id: int
    head_sha: str
    html_url: str
    path: str
    event: str
    status: str | None
    run_attempt: int = 1
    actor: User | None = None

    def value(self) -> WorkflowRun:
        """The run in our words."""
        return WorkflowRun(
            id=self.id,
            sha=self.head_sha,
            url=self.html_url,
            workflow=self.path,
            event=self.event,
            attempt=self.run_attempt,
            status=self.status,
            actor=self.actor.login if self.actor else None,
        )


class Environment(Answer):
    """Its times are those of the environment's settings, not of a review: they are not read."""

    name: str | None = None


class Approval(Answer):
    """An item of GET /repos/{owner}/{repo}/actions/runs/{run_id}/approvals"""

    user: User
    state: ReviewState
    comment: str
    environments: tuple[Environment, ...]

    def value(self) -> Review:
        """The review in our words."""
        names = tuple(found.name for found in self.environments if found.name is not None)
        return Review(
            reviewer=self.user.login, state=self.state, comment=self.comment, environments=names
        )


class App(Answer):
    """The GitHub App that reported a check."""

    slug: str | None = None


class Check(Answer):
    """An item of the next one."""

    id: int
    head_sha: str
    name: str
    status: str
    conclusion: str | None
    html_url: str | None
    app: App | None

    def value(self) -> CheckRun:
        """The check run in our words."""
        return CheckRun(
            id=self.id,
            sha=self.head_sha,
            name=self.name,
            status=self.status,
            conclusion=self.conclusion,
            url=self.html_url or "",
            app=(self.app and self.app.slug) or "unknown app",
        )


class CheckRunsPage(Answer):
    """GET /repos/{owner}/{repo}/commits/{ref}/check-runs"""

    check_runs: tuple[Check, ...]

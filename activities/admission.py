"""Admission: what the worker, whom no requester can speak for, says of a promotion's request."""

from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.git import git, is_ancestor
from activities.inputs import Admitted
from release.policy import PolicyError, parse_policy
from release.promotion import PromotionRequest


class Admission:
    """Knows the repository and the profile that this worker runs with."""

    def __init__(
        self, repository: Path, branch: str, *, accepts_claims: bool, temporal_ui: str | None
    ) -> None:
        self._repository = repository
        self._branch = branch
        self._accepts_claims = accepts_claims
        self._temporal_ui = temporal_ui or ""

    @activity.defn
    def admit_request(self, request: PromotionRequest) -> Admitted:
        """The request carries the policy of its own commit, and this is how approvals are proved.

        A request is a start's payload, which anybody who reaches Temporal can write: its rosters
        and its ladder count only if they stand in the commit.

        Raises:
            ApplicationError: not retryable; the commit is not on the branch, the policy is not the
                commit's, or the clock is compressed outside the laptop.
        """
        if request.clock_factor != 1 and not self._accepts_claims:
            raise _refused("only the laptop's profile runs a ladder faster than its policy says")
        text = self._show(request.sha)
        try:
            committed = parse_policy(text).compressed(request.clock_factor)
        except PolicyError as error:
            raise _refused(f"{request.sha[:12]}: {error}") from error
        if not is_ancestor(self._repository, request.sha, self._branch):
            raise _refused(f"{request.sha[:12]} is not on {self._branch}; merge it first")
        if committed != request.policy:
            raise _refused(f"the policy of this request is not the one in {request.sha[:12]}")
        return Admitted(accepts_claims=self._accepts_claims, temporal_ui=self._temporal_ui)

    def _show(self, sha: str) -> str:
        done = git(self._repository, "show", f"{sha}:release.toml")
        if done.returncode != 0:
            raise _refused(f"{sha[:12]} has no release.toml here: {done.stderr.strip()}")
        return done.stdout


def _refused(text: str) -> ApplicationError:
    return ApplicationError(text, type="NotAdmitted", non_retryable=True)

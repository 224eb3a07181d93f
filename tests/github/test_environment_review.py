"""GitHub's own review of a deployment: who said yes or no, for which commit and environment."""

import pytest
from github_parts import SHA, answers, read_review, review_answer, review_input, run_answer
from pydantic import ValidationError

from release.github import EnvironmentReview, ReviewOutcome, refuse_review

RUN_URL = "https://github.com/o/r/actions/runs/5"
BY_CAROL = {"user": {"login": "carol"}}


def test_run_of_another_commit_approves_nothing(listener):
    """An approval of what was there yesterday does not let today's commit through."""
    api = answers(listener, run_answer(head_sha="d" * 40), [review_answer()])

    review = read_review(api)

    assert review.outcome is ReviewOutcome.OTHER_COMMIT
    assert refuse_review(review) == f"{RUN_URL} ran dddddddddddd, not {SHA[:12]}"
    assert review.approvers == ()


def test_run_of_another_workflow_approves_nothing(listener):
    """Who let another workflow touch production for this commit did not approve its promotion."""
    api = answers(listener, run_answer(path=".github/workflows/drop.yml"), [review_answer()])

    review = read_review(api, workflow=".github/workflows/promote.yml")

    assert review.outcome is ReviewOutcome.OTHER_WORKFLOW
    assert refuse_review(review) == (
        f"{RUN_URL} is a run of .github/workflows/drop.yml, not .github/workflows/promote.yml"
    )


def test_review_of_another_environment_approves_nothing(listener):
    """Staging's approval is not production's."""
    review = read_review(answers(listener, run_answer(), [review_answer(name="staging")]))

    assert review.outcome is ReviewOutcome.OTHER_ENVIRONMENT
    assert refuse_review(review) == f"{RUN_URL} has a review of staging, none of production"


@pytest.mark.parametrize("reviews", [[], [review_answer("pending")]])
def test_run_without_a_review_approves_nothing(listener, reviews):
    """An environment without required reviewers lets jobs through, and is told apart from a yes."""
    review = read_review(answers(listener, run_answer(), reviews))

    assert review.outcome is ReviewOutcome.NOT_REVIEWED
    assert refuse_review(review) == (
        f"nobody has reviewed production on {RUN_URL}; has it required reviewers?"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_rejection_outweighs_an_approval(listener, order):
    """Reviews have no time, so a no stands, whatever its place in the list."""
    reviews = [review_answer(), review_answer("rejected", comment="not on Friday", **BY_CAROL)]
    review = read_review(answers(listener, run_answer(), reviews[::order]))

    assert review.outcome is ReviewOutcome.REJECTED
    assert refuse_review(review) == f"carol rejected production on {RUN_URL}: not on Friday"
    assert review.approvers == ()


def test_rejection_of_another_environment_harms_nothing(listener):
    """A no for staging is none for production."""
    reviews = [review_answer("rejected", "staging"), review_answer()]
    review = read_review(answers(listener, run_answer(), reviews))

    assert review.outcome is ReviewOutcome.APPROVED


def test_approval_is_read_with_everything_that_is_known_of_it(listener):
    """Reviewer, comment, commit, run, its workflow and actor: what a record needs."""
    environments = [{"name": "staging"}, {"name": "Production"}]
    reviews = [review_answer(environments=environments, comment="ship it")]
    api = answers(listener, run_answer(run_attempt=2), reviews)

    review = read_review(api, workflow=".github/workflows/promote.yml")

    assert review.outcome is ReviewOutcome.APPROVED
    assert refuse_review(review) is None
    assert review.reason == f"bob approved production on {RUN_URL}"
    assert [(r.reviewer, r.comment) for r in review.reviews] == [("bob", "ship it")]
    assert (review.run.sha, review.run.url, review.run.attempt) == (SHA, RUN_URL, 2)
    assert (review.run.actor, review.run.event) == ("alice", "push")


def test_everybody_who_approved_is_named_once(listener):
    """Two people and a repeated yes: a caller may look for the one whose word counts."""
    reviews = [review_answer(), review_answer(**BY_CAROL), review_answer()]
    review = read_review(answers(listener, run_answer(), reviews))

    assert review.approvers == ("bob", "carol")


def test_both_calls_go_to_the_named_run(listener):
    """The addresses are GitHub's, below the configured one."""
    read_review(answers(listener, run_answer(), [review_answer()]), repository="Octo-Org/a.b_c")

    base = "/repos/Octo-Org/a.b_c/actions/runs/5"
    assert [request.path for request in listener.requests] == [base, f"{base}/approvals"]


def test_review_survives_the_way_through_temporal(listener):
    """What the activity answers is what the workflow reads."""
    review = read_review(answers(listener, run_answer(), [review_answer()]))

    assert EnvironmentReview.model_validate_json(review.model_dump_json()) == review


@pytest.mark.parametrize(
    "fields",
    [
        {"repository": "o"},
        {"repository": "o/.."},
        {"repository": "o/r/../../user"},
        {"repository": "o/r?x=1"},
        {"repository": "o/r\n"},
        {"repository": "../r"},
        {"run_id": 0},
        {"run_id": -1},
        {"environment": ""},
        {"sha": SHA[:12]},
        {"sha": "main"},
    ],
)
def test_input_that_would_ask_for_something_else_is_refused(fields):
    """Nothing that a message brings can bend the address."""
    with pytest.raises(ValidationError):
        review_input(**fields)

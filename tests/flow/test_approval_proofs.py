"""Nobody approves as somebody else: one-time codes and GitHub's reviews as proofs, in the flow."""

from datetime import UTC, datetime

import pytest

from release.decisions import Decision
from release.github import EnvironmentReview, Review, ReviewOutcome, ReviewState, WorkflowRun
from release.policy import parse_policy
from release.promotion import Outcome
from release.votes import Proof
from tests.flow.approval_parts import TEXT, messages, refusal

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def production(release_system):
    """The production profile: a claim is not enough."""
    release_system.script.accepts_claims = False
    return release_system


async def test_claim_alone_does_not_count_in_production(production):
    """A name in a signal is no proof; the refusal says what is."""
    handle = await production.promote_to_approval()

    said = await refusal(handle, approver="alice")

    assert 'add your one-time code as "code"' in said
    assert (await production.status(handle)).votes == ()
    await handle.signal("abort")
    await handle.result()


async def test_one_time_code_proves_an_approval(production):
    """The door for the Temporal UI: the code beside the name."""
    handle = await production.promote_to_approval()
    for name in ("alice", "bob"):
        await handle.signal("approve", {"approver": name, "code": "123456"})

    assert (await handle.result()).outcome is Outcome.COMPLETED
    votes = (await production.status(handle)).votes
    assert {vote.proof for vote in votes} == {Proof.CODE}
    assert len({order.attempt for order in production.script.proofs}) == 2


async def test_wrong_code_is_refused_with_its_reason(production):
    """Wrong, used, old or locked: the store of the codes says which, the record keeps it."""
    handle = await production.promote_to_approval()

    assert await refusal(handle, approver="alice", code="000000") == "that code is wrong"

    assert await messages(production, handle) == [("alice", False, "that code is wrong")]
    await handle.signal("abort")
    await handle.result()


async def test_guessing_ends_after_thirty_proofs(production):
    """A flood of guesses does not fill the history."""
    handle = await production.promote_to_approval()
    for _ in range(30):
        await refusal(handle, approver="alice", code="000000")

    assert "30 proofs were checked" in await refusal(handle, approver="alice", code="123456")
    assert len(production.script.proofs) == 30
    await handle.signal("abort")
    await handle.result()


async def test_stranger_gets_no_code_checked(production):
    """Who may not approve does not learn whether a code is right."""
    handle = await production.promote_to_approval()

    assert "is not an approver" in await refusal(handle, approver="mallory", code="123456")
    assert production.script.proofs == []
    await handle.signal("abort")
    await handle.result()


def github_policy():
    mapped = TEXT.replace(
        "[approval.roles]",
        '[approval.github]\n"alice-gh" = "alice"\n"bob-gh" = "bob"\n\n[approval.roles]',
    )
    return parse_policy(mapped.replace("\n[ci]\n", '\n[ci]\nrepository = "acme/crypto-watch"\n'))


def review_of(*logins: str, outcome=ReviewOutcome.APPROVED, reason=""):
    run = WorkflowRun(
        id=7,
        sha="a" * 40,
        url="https://github.example/runs/7",
        workflow=".github/workflows/promote.yml@main",
        event="push",
        attempt=1,
        status="waiting",
        actor="dora",
    )
    reviews = tuple(
        Review(
            reviewer=login,
            state=ReviewState.APPROVED,
            comment=f"fine, says {login}",
            environments=("production",),
        )
        for login in logins
    )
    return lambda order: EnvironmentReview(
        outcome=outcome,
        reason=reason,
        environment=order.environment,
        run=run,
        reviews=reviews,
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_githubs_review_counts_for_the_people_behind_the_logins(production):
    """GitHub itself says who reviewed; the workflow's caller proves nothing."""
    production.script.review = review_of("alice-gh", "bob-gh", "stranger-gh")
    handle = await production.promote_to_approval(policy=github_policy())

    await handle.signal("approve", {"github_run": 7})

    assert (await handle.result()).outcome is Outcome.COMPLETED
    votes = (await production.status(handle)).votes
    assert [(v.approver, v.proof, v.comment, v.link) for v in votes] == [
        ("alice", Proof.GITHUB, "fine, says alice-gh", "https://github.example/runs/7"),
        ("bob", Proof.GITHUB, "fine, says bob-gh", "https://github.example/runs/7"),
    ]


@pytest.mark.parametrize(
    ("review", "said"),
    [
        (
            review_of(outcome=ReviewOutcome.OTHER_COMMIT, reason="it ran another commit"),
            "it ran another commit",
        ),
        (review_of("stranger-gh"), "stranger-gh: nobody that [approval.github] maps to a role"),
    ],
    ids=["another commit", "stranger"],
)
async def test_githubs_review_that_does_not_count_is_refused(production, review, said):
    """What GitHub says of something else, or of strangers, lets nothing in."""
    production.script.review = review
    handle = await production.promote_to_approval(policy=github_policy())

    assert await refusal(handle, github_run=7) == said
    await handle.signal("abort")
    await handle.result()


async def test_githubs_review_counts_once(production):
    """A run's number is no secret: replayed, it does not undo a withdrawal."""
    production.script.review = review_of("alice-gh")
    handle = await production.promote_to_approval(policy=github_policy())
    await handle.execute_update("approve", Decision(github_run=7))
    await handle.execute_update("withdraw", {"by": "alice"})

    assert "was counted already" in await refusal(handle, github_run=7)

    assert (await production.status(handle)).votes == ()
    await handle.signal("abort")
    await handle.result()


async def test_github_is_refused_where_it_is_not_configured(production):
    """Without a repository there is nothing to read."""
    handle = await production.promote_to_approval()

    assert "no GitHub repository is configured" in await refusal(handle, github_run=7)
    await handle.signal("abort")
    await handle.result()


async def test_login_that_requested_cannot_approve_as_its_person(production):
    """Four eyes hold across the names: alice-gh is alice."""
    production.script.review = review_of("alice-gh")
    handle = await production.promote_to_approval(policy=github_policy(), requested_by="alice-gh")

    assert "alice requested this release" in await refusal(handle, github_run=7)
    await handle.signal("abort")
    await handle.result()

"""The quorum: who fills which role, whatever the order of the votes."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.decisions import impossible_quorum
from release.policy import Approval, parse_policy
from release.promotion import PromotionRequest
from release.quorum import is_complete, roles_asked, standing

TEXT = (Path(__file__).resolve().parents[2] / "release.toml").read_text()
POLICY = parse_policy(TEXT)


def approval(roles: dict[str, tuple[int, tuple[str, ...]]], **more: object) -> Approval:
    entries = {name: {"needed": n, "people": people} for name, (n, people) in roles.items()}
    return Approval.model_validate({"roles": entries, **more})


def filled(policy: Approval, *voters: str, major: bool = False) -> dict[str, tuple[str, ...]]:
    return {role.role: role.approved_by for role in standing(policy, voters, major=major)}


BOTH = {"tech": (1, ("alice", "bob")), "ops": (1, ("alice",))}


def test_one_yes_of_two_roles_is_not_a_quorum():
    """Technical lead and operations lead always: one of them alone lets nothing in."""
    assert not is_complete(standing(POLICY.approval, ("alice",), major=False))
    assert not is_complete(standing(POLICY.approval, (), major=False))
    assert is_complete(standing(POLICY.approval, ("bob", "alice"), major=False))


def test_product_owner_is_asked_for_a_major_version_only():
    """The flow: product owner approval for major changes."""
    assert roles_asked(POLICY.approval, major=False) == ("technical_lead", "operations_lead")
    assert not is_complete(standing(POLICY.approval, ("alice", "bob"), major=True))
    assert is_complete(standing(POLICY.approval, ("alice", "bob", "paula"), major=True))


def test_one_person_fills_one_role():
    """Who holds two roles is one pair of eyes."""
    assert not is_complete(standing(approval(BOTH), ("alice",), major=False))


def test_one_person_fills_two_roles_where_the_policy_says_so():
    """A small team may decide otherwise, in its policy."""
    assert is_complete(standing(approval(BOTH, one_person_two_roles=True), ("alice",), major=False))


@pytest.mark.parametrize("voters", list(itertools.permutations(("alice", "bob"))))
def test_order_of_votes_does_not_matter(voters):
    """Whoever comes first, nobody takes the seat that another needs."""
    assert filled(approval(BOTH), *voters) == {"tech": ("bob",), "ops": ("alice",)}


def test_n_of_m_needs_n():
    """Two of three operators."""
    policy = approval({"ops": (2, ("alice", "bob", "carol"))})

    assert not is_complete(standing(policy, ("carol",), major=False))
    assert is_complete(standing(policy, ("carol", "alice"), major=False))


names = st.sampled_from(["a", "b", "c", "d"])


@given(
    roles=st.lists(st.sets(names, min_size=1, max_size=4), min_size=1, max_size=3),
    voters=st.lists(names, unique=True, max_size=4),
)
def test_as_many_seats_as_possible_are_filled(roles, voters):
    """Compared with trying every assignment: none fills more seats, and nobody sits twice."""
    policy = approval({f"r{n}": (1, tuple(sorted(people))) for n, people in enumerate(roles)})
    seats = [name for seated in filled(policy, *voters).values() for name in seated]

    best = max(
        sum(seat in roles[n] for n, seat in enumerate(chosen) if seat is not None)
        for chosen in itertools.product([None, *voters], repeat=len(roles))
        if len(taken := [seat for seat in chosen if seat]) == len(set(taken))
    )
    assert len(seats) == len(set(seats)) == best
    assert set(seats) <= set(voters)


def request(**fields: object) -> PromotionRequest:
    usual = {"sha": "a" * 40, "version": "1.2.3", "requested_by": "dora", "policy": POLICY}
    return PromotionRequest.model_validate({**usual, **fields})


@pytest.mark.parametrize(
    ("running", "new", "major"),
    [
        ("1.9.0+abc", "2.0.0+def", True),
        ("1.2.3", "1.3.0", False),
        ("0.1.0", "1.0.0", True),
        ("", "2.0.0", False),
        ("?", "2.0.0", False),
    ],
)
def test_major_is_a_rise_of_the_first_number(running, new, major):
    """A breaking change asks the product owner too; without a running version nothing breaks."""
    assert request(running_version=running, version=new).is_major is major


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"requested_by": "alice"}, "technical lead"),
        ({"authors": ("bob",)}, "operations lead"),
        ({"running_version": "1.0.0", "version": "2.0.0", "authors": ("paula",)}, "product owner"),
    ],
)
def test_role_that_nobody_can_fill_is_said_at_promote(fields, role):
    """Otherwise the question would stand for a day for nothing."""
    said = impossible_quorum(request(**fields))

    assert said is not None
    assert said.startswith(f"nobody can approve as {role}")


def test_one_person_for_two_roles_is_said_at_promote():
    """Both leads are alice, and one person fills one role: it could never be met."""
    alone = TEXT.replace('people = ["bob"]', 'people = ["alice"]')

    said = impossible_quorum(request(policy=parse_policy(alone)))

    assert said == (
        "nobody can approve as operations lead: it needs 1, and of its people each fills one role"
    )


def test_possible_quorum_is_no_complaint():
    """The usual release."""
    assert impossible_quorum(request()) is None
    assert impossible_quorum(request(authors=("paula", "carol"))) is None


def test_authors_count_where_the_policy_says_so():
    """A team of two cannot keep authors out."""
    changed = re.sub("authors_may_approve = false", "authors_may_approve = true", TEXT)

    assert impossible_quorum(request(authors=("bob",), policy=parse_policy(changed))) is None

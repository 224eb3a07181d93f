"""What people send: read leniently, judged strictly, refused with a reason."""

from pathlib import Path

import pytest

from release.decisions import (
    EXAMPLES,
    Abort,
    Decision,
    SignOff,
    Supersession,
    Waive,
    Withdrawal,
    read_payload,
    refuse_decision,
    refuse_sign_off,
    who_may,
)
from release.policy import parse_policy
from release.promotion import PromotionRequest

POLICY = parse_policy((Path(__file__).resolve().parents[2] / "release.toml").read_text())
ITEM = "manual-verification"


def requested_by(name: str) -> PromotionRequest:
    """A release that this person asked for."""
    return PromotionRequest(sha="a" * 40, version="1.0.0", requested_by=name, policy=POLICY)


def test_whole_payload_is_read():
    """What the UI sends as JSON becomes the message."""
    read = read_payload(Decision, {"approver": "alice", "comment": "looks good"})

    assert read == Decision(approver="alice", comment="looks good")


@pytest.mark.parametrize("kind", [Decision, SignOff, Waive, Withdrawal, Supersession])
def test_empty_payload_is_refused_with_an_example(kind):
    """An empty box in the UI gets the text to paste into it."""
    assert read_payload(kind, None) == f"empty payload; send {EXAMPLES[kind]}"


def test_empty_abort_is_an_abort():
    """Stopping needs no form: an empty box stops."""
    assert read_payload(Abort, None) == Abort()
    assert read_payload(Abort, {}) == Abort()


@pytest.mark.parametrize("payload", ["alice", ["alice"], 7, True, "", [], {"approver": 7}])
@pytest.mark.parametrize("kind", [Decision, SignOff, Waive, Withdrawal, Supersession])
def test_payload_of_another_shape_is_refused_never_raised(kind, payload):
    """Whatever comes through the UI, the promotion goes on and says what it wanted."""
    reason = read_payload(kind, payload)

    assert isinstance(reason, str)
    assert reason.endswith(f"send {EXAMPLES[kind]}")


def test_misspelt_field_is_refused_by_its_name():
    """A typing slip never passes in silence."""
    reason = read_payload(Decision, {"approver": "alice", "coment": "fine"})

    assert isinstance(reason, str)
    assert reason.startswith("coment: ")


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_example_is_itself_accepted(kind):
    """What a refusal tells people to send works when they send it."""
    assert isinstance(kind.model_validate_json(EXAMPLES[kind]), kind)


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_approver_may_decide(name):
    """Each role's people may decide on somebody else's release."""
    assert refuse_decision(requested_by("carol"), Decision(approver=name)) is None


def test_stranger_may_not_decide_and_hears_who_may():
    """The refusal names the people to ask."""
    reason = refuse_decision(requested_by("carol"), Decision(approver="mallory"))

    assert reason == (
        "mallory is not an approver; who may: alice (technical lead), bob (operations lead)"
    )


@pytest.mark.parametrize("name", ["Alice", " alice", "technical_lead"])
def test_name_is_compared_to_the_letter(name):
    """Nobody is let in on a similar name, or on a role's."""
    assert refuse_decision(requested_by("carol"), Decision(approver=name)) is not None


def test_nobody_decides_on_their_own_release():
    """Four eyes: who asked for it cannot let it pass, approver or not."""
    reason = refuse_decision(requested_by("alice"), Decision(approver="alice"))

    assert reason == "alice requested this release and cannot decide on it"


def test_people_who_may_leave_out_the_requester():
    """Nobody is told to ask the one person who cannot."""
    assert who_may(requested_by("alice")) == "bob (operations lead)"


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_lead_may_sign_off(name):
    """Both roles of the item may answer it."""
    assert refuse_sign_off(POLICY, SignOff(item=ITEM, by=name)) is None


def test_stranger_may_not_sign_off():
    """Only the item's roles count."""
    assert refuse_sign_off(POLICY, SignOff(item=ITEM, by="mallory")) == (
        "mallory may not sign off manual-verification; "
        "roles that may: technical_lead, operations_lead"
    )


@pytest.mark.parametrize("item", ["manual", "endpoints", "technical-lead-approval"])
def test_item_that_is_not_manual_is_refused_with_those_that_are(item):
    """A misspelt item, a measured one and an approval are told what there is."""
    refusal = refuse_sign_off(POLICY, SignOff(item=item, by="alice"))

    assert refusal is not None
    assert refusal.startswith(f"no manual item {item!r}; there is: manual-verification, ")


def test_failed_sign_off_without_a_note_is_refused():
    """Who stops a release says why."""
    silent = SignOff(item=ITEM, by="alice", passed=False)

    assert (
        refuse_sign_off(POLICY, silent) == "a failed manual-verification needs a note that says why"
    )
    assert refuse_sign_off(POLICY, silent.model_copy(update={"note": "blank page"})) is None


def test_role_not_named_by_the_item_may_not_sign_off():
    """An approver of another role is not enough."""
    assert refuse_sign_off(POLICY, SignOff(item="known-issues", by="bob")) is not None
    assert refuse_sign_off(POLICY, SignOff(item="known-issues", by="alice")) is None


def test_code_stands_in_no_repr():
    """A decision that is printed tells no code."""
    assert "123456" not in repr(Decision(approver="alice", code="123456"))


def test_refused_payload_does_not_repeat_what_was_sent():
    """A mistyped message with a code in it leaves no code in the refusal."""
    assert "123456" not in str(read_payload(Decision, {"approver": 7, "code": "123456"}))


def test_login_is_its_person():
    """Who requested by GitHub login cannot approve by name."""
    approval = POLICY.approval.model_copy(update={"github": {"alice-gh": "alice"}})
    policy = POLICY.model_copy(update={"approval": approval})
    request = requested_by("alice-gh").model_copy(update={"policy": policy})

    assert "requested this release" in str(refuse_decision(request, Decision(approver="alice")))

"""The audit as it is told from events alone."""

import json

import pytest

from release.audit import Fate
from release.audit_story import NotAPromotion, tell
from release.change_set import Action, ResourceChange
from tests.audit.audit_parts import changed_payloads, promote, promotion_of, recorded

ENDINGS = {
    "completed": ("completed", "completed"),
    "needs_fix": ("needs fix", "completed"),
    "rejected": ("rejected", "completed"),
    "expired": ("expired", "completed"),
    "superseded": ("superseded", "completed"),
    "rolled_back": ("rolled back", "completed"),
    "aborted": ("aborted", "completed"),
    "cancelled": ("aborted", "canceled"),
    "failed": ("failed", "failed"),
}
RAMP = [0.02, 0.0262, 0.0342]


def audit_of(name: str):
    events = recorded(name)
    return tell(events, promotion_of(events))


@pytest.mark.parametrize(("name", "ending"), ENDINGS.items())
def test_end_is_told_with_its_reason(name, ending):
    """How it ended, how Temporal closed it, and why, whichever way it went."""
    audit = audit_of(name)

    assert (audit.outcome, audit.closed_as) == ending
    assert audit.reason


def test_rolled_back_promotion_is_told_whole():
    """Each weight with its verdict and the way back, what was built, both versions."""
    audit = audit_of("rolled_back")

    assert [rung.weight for rung in audit.rungs] == RAMP
    assert [str(rung.judgement.verdict) for rung in audit.rungs] == ["passed", "passed", "failed"]
    assert [share.weight for share in audit.shares] == [*RAMP, 0.0]
    assert (audit.baseline, audit.canary) == ("1", "2")
    assert {one.function for one in audit.artifacts} == {"api", "fetcher"}
    assert audit.stages[-1].stage == "rollback"
    assert {check.place for check in audit.checks} == {
        *("integration tests", "staging", "the commit", "preflight", "smoke at weight 0"),
    }


def test_aborted_rung_has_no_judgement():
    """A weight that a person ended is told as that, with what they said."""
    audit = audit_of("aborted")
    [abort] = [said for said in audit.said if said.kind == "abort"]

    assert audit.rungs[-1].judgement is None
    assert (abort.by, abort.text, abort.fate) == ("carol", "customers call", Fate.APPLIED)


@pytest.mark.asyncio(loop_scope="session")
async def test_change_of_the_stacks_is_told_with_its_fate(release_system):
    """What was to change of which stack, and that it was, though the code went back."""
    script = release_system.script
    script.stack_changes = lambda _: (
        ResourceChange(logical_id="Motd", type="AWS::SSM::Parameter", action=Action.ADD),
    )
    audit = tell(await promote(release_system, False), "promotion/crypto-watch/aaaaaaaaaaaa")

    assert [
        (one.stack, one.changes, bool(one.ended), one.failure) for one in audit.infrastructure
    ] == [
        ("crypto-watch-staging", ("Add Motd (AWS::SSM::Parameter)",), True, ""),
        ("crypto-watch-prod", ("Add Motd (AWS::SSM::Parameter)",), True, ""),
    ]


@pytest.mark.asyncio(loop_scope="session")
async def test_each_message_has_its_fate_and_no_code_is_shown(release_system):
    """Signals and updates, applied or refused and why, with proof; never the one-time code."""
    audit = tell(await promote(release_system, True), "promotion/crypto-watch/aaaaaaaaaaaa")
    votes = [said for said in audit.said if said.kind == "approve"]

    assert [(vote.by, vote.door, vote.fate.value) for vote in votes] == [
        ("alice", "signal", "refused"),
        ("unknown", "signal", "refused"),
        ("mallory", "update", "refused"),
        ("alice", "update", "applied"),
        ("bob", "update", "applied"),
    ]
    assert "a name alone does not count" in votes[0].text
    assert {vote.proof.value for vote in audit.votes} == {"one-time code"}
    assert all("code" not in said.payload for said in audit.said)
    assert '"123456"' not in audit.model_dump_json()
    assert [one["decision"] for one in audit.decisions()].count("refusal") == 3


def test_half_a_history_is_told_as_far_as_it_goes():
    """At any event at all: no error, and an outcome only once there is one."""
    events = recorded("rolled_back")
    told = [tell(events[:count], promotion_of(events)) for count in range(1, len(events) + 1)]
    outcomes = [audit.outcome for audit in told]

    assert [audit.events for audit in told] == list(range(1, len(events) + 1))
    assert list(dict.fromkeys(outcomes)) == ["", "rolled back"]
    assert outcomes == sorted(outcomes)  # once said, it stays


def test_terminated_promotion_says_by_its_close_what_became_of_it():
    """It could not say anything itself: the outcome is Temporal's word, with the reason given."""
    events = [
        *recorded("rolled_back")[:60],
        {
            "eventId": "61",
            "eventTime": "2030-01-01T00:00:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED",
            "workflowExecutionTerminatedEventAttributes": {"reason": "by an operator"},
        },
    ]

    audit = tell(events, "promotion/crypto-watch/aaaaaaaaaaaa")

    assert (audit.outcome, audit.reason) == ("terminated", "by an operator")
    assert not audit.is_decided


def test_history_of_another_day_is_told_too():
    """A field that later code wrote, or earlier code lacked, keeps no audit from being read."""

    def of_the_future(value):
        if isinstance(value, dict) and "judgement" in value:
            value["judgement"]["colour"] = "blue"
        if isinstance(value, dict) and "status" in value:
            value["status"]["votes"][0]["mood"] = "good"
            del value["status"]["digest"]
        return value

    events = [changed_payloads(event, of_the_future) for event in recorded("completed")]

    assert tell(events, "promotion/crypto-watch/aaaaaaaaaaaa").outcome == "completed"


@pytest.mark.parametrize("events", [[], [{}]], ids=["nothing", "no event"])
def test_what_is_no_promotion_is_refused(events):
    """Another workflow's history is said to be one."""
    with pytest.raises(NotAPromotion):
        tell(events, "rollback/crypto-watch")


def test_audit_survives_json():
    """What programs read is all of it."""
    audit = audit_of("completed")

    assert type(audit).model_validate(json.loads(audit.model_dump_json())) == audit

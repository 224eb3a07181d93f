"""The checklists: all of the flow's items, how each is answered, and what follows from answers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from release.answers import derived, states
from release.checklist import (
    BENCHMARKS,
    STAGING_VALIDATION,
    Answer,
    Answers,
    Item,
    Part,
    Signature,
    Waiver,
)
from release.evidence import Evidence, is_for
from release.policy import parse_policy
from release.verdict import CheckResult, Verdict

ROOT = Path(__file__).resolve().parents[2]
POLICY = parse_policy((ROOT / "release.toml").read_text())
NOW = datetime(2026, 1, 1, tzinfo=UTC)

# the promotion flow, "Staging Validation Checklist" and "Pre-Production Checklist"
STAGING = {
    "Functional Testing": 6,
    "Performance Testing": 5,
    "Data Integrity": 4,
    "Security": 5,
    "Monitoring": 5,
    "Documentation": 4,
}
PRE_PRODUCTION = {
    "Code Quality": 5,
    "Staging Verification": 4,
    "Documentation": 4,
    "Communication": 4,
    "Approval": 3,
}


def test_every_item_of_the_flow_is_there():
    """29 staging and 20 pre-production items under the flow's headings, and one box before."""
    staging = {name: len(items) for name, items in POLICY.checklist.staging.items()}
    pre_production = {name: len(items) for name, items in POLICY.checklist.pre_production.items()}

    assert staging == {"Manual Verification": 1, **STAGING}
    assert sum(STAGING.values()) == 29
    assert pre_production == PRE_PRODUCTION
    assert sum(PRE_PRODUCTION.values()) == 20


def result(verdict: Verdict, evidence: str = "seen") -> CheckResult:
    return CheckResult(id="c", text="a check", verdict=verdict, evidence=evidence)


def signed(passed: bool = True, note: str = "") -> Signature:
    return Signature(by="alice", at=NOW, passed=passed, note=note)


def answer(item: Item, answers: Answers, approvals: dict[str, tuple[str, ...]] | None = None):
    """The one item's state."""
    [state] = states({"group": (item,)}, {}, answers, approvals or {})
    return state


MEASURED = Item(id="m", text="measured", auto="c")
MANUAL = Item(id="s", text="signed", manual=("technical_lead",))
BOTH = Item(id="b", text="both", auto="c", manual=("technical_lead",))
APPROVAL = Item(id="a", text="approved", approval="technical_lead")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.PASSED, Answer.PASSED),
        (Verdict.FAILED, Answer.FAILED),
        (Verdict.INCONCLUSIVE, Answer.INCONCLUSIVE),
        (Verdict.NOT_APPLICABLE, Answer.NOT_APPLICABLE),
    ],
)
def test_measured_item_has_its_checks_verdict(verdict, expected):
    """With the figures it rests on."""
    state = answer(MEASURED, Answers(results={"c": result(verdict)}))

    assert (state.answer, state.evidence) == (expected, "seen")
    assert answer(MEASURED, Answers()).answer is Answer.WAITING


def test_manual_item_waits_for_its_roles():
    """What is missing, and from whom."""
    state = answer(MANUAL, Answers())

    assert (state.answer, state.needs) == (Answer.WAITING, "a sign-off by technical lead")
    assert answer(MANUAL, Answers(signatures={"s": signed()})).evidence == "alice: signed off"
    failed = answer(MANUAL, Answers(signatures={"s": signed(False, "blank page")}))
    assert (failed.answer, failed.evidence) == (Answer.FAILED, "alice: blank page")


@pytest.mark.parametrize(
    ("measured", "signature", "expected"),
    [
        (None, None, Answer.WAITING),
        (Verdict.PASSED, None, Answer.WAITING),
        (None, signed(), Answer.WAITING),
        (Verdict.PASSED, signed(), Answer.PASSED),
        (Verdict.FAILED, signed(), Answer.FAILED),
        (Verdict.PASSED, signed(False, "no"), Answer.FAILED),
        (Verdict.INCONCLUSIVE, signed(), Answer.INCONCLUSIVE),
        (Verdict.NOT_APPLICABLE, signed(), Answer.PASSED),
    ],
)
def test_item_of_two_ways_needs_both(measured, signature, expected):
    """Neither a machine nor a person alone answers for both."""
    results = {} if measured is None else {"c": result(measured)}
    signatures = {} if signature is None else {"b": signature}

    state = answer(BOTH, Answers(results=results, signatures=signatures))

    assert state.answer is expected


def test_waiver_covers_what_could_not_be_measured_and_nothing_else():
    """A waiver is no pass: it says by whom and why, and a failed item stays failed."""
    waivers = {"m": Waiver(by="bob", at=NOW, reason="CloudWatch is down")}
    inconclusive = Answers(results={"c": result(Verdict.INCONCLUSIVE, "timeout")}, waivers=waivers)
    failed = Answers(results={"c": result(Verdict.FAILED)}, waivers=waivers)

    state = answer(MEASURED, inconclusive)

    assert state.answer is Answer.WAIVED
    assert state.evidence == "waived by bob: CloudWatch is down (timeout)"
    assert answer(MEASURED, failed).answer is Answer.FAILED


def test_approval_item_is_answered_by_the_quorum():
    """A role that is not asked for this release makes its item not applicable."""
    assert answer(APPROVAL, Answers(), {"technical_lead": ()}).answer is Answer.WAITING
    assert answer(APPROVAL, Answers(), {"technical_lead": ("alice",)}).answer is Answer.PASSED
    assert answer(APPROVAL, Answers(), {}).answer is Answer.NOT_APPLICABLE


@pytest.mark.parametrize(
    "fields",
    [{}, {"auto": "c", "approval": "technical_lead"}, {"manual": (), "auto": None}],
)
def test_item_that_cannot_be_answered_is_refused(fields):
    """An item has a way to be answered, and an approval has no other."""
    with pytest.raises(ValidationError, match="item 'x'"):
        Item(id="x", text="x", **fields)


def test_staging_validation_follows_from_its_items():
    """It passes with the last of them, fails with the first, and waits until then."""
    items = (MEASURED, Item(id="v", text="all", auto=STAGING_VALIDATION))
    groups = {"staging": (items[0],)}, {"pre": (items[1],)}

    def follows(**answers):
        known = Answers(**answers)
        return derived(states(*groups, known, {}), known).get(STAGING_VALIDATION)

    assert follows() is None
    assert follows(results={"c": result(Verdict.INCONCLUSIVE)}) is None
    assert follows(results={"c": result(Verdict.PASSED)}).verdict is Verdict.PASSED
    failed = follows(results={"c": result(Verdict.FAILED)})
    assert (failed.verdict, failed.evidence) == (Verdict.FAILED, "failed: m")


def test_benchmarks_follow_from_both_latencies():
    """The worse of the two decides."""
    good, bad = result(Verdict.PASSED), result(Verdict.FAILED)

    def follows(**results):
        known = Answers(results={name.replace("_", "-"): r for name, r in results.items()})
        return derived((), known).get(BENCHMARKS)

    assert follows(price_latency=good) is None
    assert follows(price_latency=good, health_latency=good).verdict is Verdict.PASSED
    assert follows(price_latency=good, health_latency=bad).verdict is Verdict.FAILED


def evidence(**changed) -> Evidence:
    usual = {
        "sha": "a" * 40,
        "version": "1.2.3",
        "running_version": "1.2.2",
        "requested_by": "dora",
        "changes": ("fix: a price",),
        "authors": ("carol",),
        "artifacts": {"api": "00"},
        "tests": (result(Verdict.PASSED),),
        "items": states({"g": (MEASURED,)}, {}, Answers(results={"c": result(Verdict.PASSED)}), {}),
        "rollback_target": {"api": "1"},
        "policy": POLICY,
    }
    return Evidence(**{**usual, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"sha": "b" * 40},
        {"version": "1.2.4"},
        {"running_version": "1.1.0"},
        {"requested_by": "erin"},
        {"authors": ()},
        {"artifacts": {"api": "01"}},
        {"tests": (result(Verdict.PASSED, "other figures"),)},
        {"items": states({"g": (MEASURED,)}, {}, Answers(), {})},
        {"rollback_target": {"api": "2"}},
        {"policy": POLICY.compressed(2)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_changes_in_the_evidence_changes_its_digest(changed):
    """An approval is for exactly what its giver was shown."""
    assert evidence().digest() == evidence().digest()
    assert evidence(**changed).digest() != evidence().digest()


def test_digest_is_named_by_its_beginning():
    """Eight characters or more; fewer could be an accident."""
    digest = evidence().digest()

    assert is_for(digest, digest)
    assert is_for(digest[:8].upper(), digest)
    assert not is_for(digest[:7], digest)
    assert not is_for("0" * 12, digest)


def test_parts_are_in_the_order_of_the_flow():
    """Staging first, then what else production needs."""
    checklist = POLICY.checklist
    found = states(checklist.staging, checklist.pre_production, Answers(), {})

    assert [state.part for state in found] == [Part.STAGING] * 30 + [Part.PRE_PRODUCTION] * 20

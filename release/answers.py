"""How answers make an item's state, and which answers follow from others: plain rules."""

from release.checklist import (
    BENCHMARKS,
    DONE,
    STAGING_VALIDATION,
    Answer,
    Answers,
    Groups,
    Item,
    ItemState,
    Part,
)
from release.verdict import CheckResult, Verdict


def states(
    staging: Groups, pre_production: Groups, answers: Answers, approvals: dict[str, tuple[str, ...]]
) -> tuple[ItemState, ...]:
    """Every item in the order of the flow. `approvals`: role asked → who has said yes so far.

    A role that is not asked for this release makes its item not applicable.
    """
    return tuple(
        _state(part, group, item, answers, approvals)
        for part, groups in ((Part.STAGING, staging), (Part.PRE_PRODUCTION, pre_production))
        for group, items in groups.items()
        for item in items
    )


def _state(
    part: Part, group: str, item: Item, answers: Answers, approvals: dict[str, tuple[str, ...]]
) -> ItemState:
    found = [
        answer
        for answer in (
            _measured(item, answers),
            _signed(item, answers),
            _approved(item, approvals),
        )
        if answer is not None
    ]
    worst = min(found, key=lambda answer: _WORST_FIRST.index(answer[0]))[0]
    return ItemState(
        part=part,
        group=group,
        id=item.id,
        text=item.text,
        answer=worst,
        evidence="; ".join(text for answer, text in found if text and answer is not Answer.WAITING),
        needs="; ".join(text for answer, text in found if answer is Answer.WAITING),
    )


_WORST_FIRST = (
    Answer.FAILED,
    Answer.INCONCLUSIVE,
    Answer.WAITING,
    Answer.WAIVED,
    Answer.PASSED,
    Answer.NOT_APPLICABLE,
)
_BY_VERDICT = {
    Verdict.PASSED: Answer.PASSED,
    Verdict.FAILED: Answer.FAILED,
    Verdict.INCONCLUSIVE: Answer.INCONCLUSIVE,
    Verdict.NOT_APPLICABLE: Answer.NOT_APPLICABLE,
}


def _measured(item: Item, answers: Answers) -> tuple[Answer, str] | None:
    if item.auto is None:
        return None
    result = answers.results.get(item.auto)
    if result is None:
        follows = item.auto in (STAGING_VALIDATION, BENCHMARKS)
        return Answer.WAITING, "the items it follows from" if follows else "being measured"
    answer, evidence = _BY_VERDICT[result.verdict], result.evidence
    waiver = answers.waivers.get(item.id)
    if waiver and answer is Answer.INCONCLUSIVE:
        return Answer.WAIVED, f"waived by {waiver.by}: {waiver.reason} ({evidence})"
    return answer, evidence


def _signed(item: Item, answers: Answers) -> tuple[Answer, str] | None:
    if not item.manual:
        return None
    signature = answers.signatures.get(item.id)
    if signature is None:
        roles = " or ".join(role.replace("_", " ") for role in item.manual)
        return Answer.WAITING, f"a sign-off by {roles}"
    said = " ".join(part for part in (signature.note, signature.link) if part) or "signed off"
    return (Answer.PASSED if signature.passed else Answer.FAILED), f"{signature.by}: {said}"


def _approved(item: Item, approvals: dict[str, tuple[str, ...]]) -> tuple[Answer, str] | None:
    if item.approval is None:
        return None
    if item.approval not in approvals:
        return Answer.NOT_APPLICABLE, "not asked for this release"
    who = approvals[item.approval]
    if not who:
        return Answer.WAITING, f"approval by the {item.approval.replace('_', ' ')}"
    return Answer.PASSED, f"approved by {', '.join(who)}"


_BENCHMARKED = ("price-latency", "health-latency")


def derived(states_: tuple[ItemState, ...], answers: Answers) -> dict[str, CheckResult]:
    """The results of the checks that follow from others, once those are there."""
    found: dict[str, CheckResult] = {}
    staging = [state for state in states_ if state.part is Part.STAGING]
    failed = [state.id for state in staging if state.answer is Answer.FAILED]
    done = [state for state in staging if state.answer in DONE]
    if failed or len(done) == len(staging):
        found[STAGING_VALIDATION] = CheckResult(
            id=STAGING_VALIDATION,
            text="The staging validation checklist is completed",
            verdict=Verdict.FAILED if failed else Verdict.PASSED,
            evidence=f"failed: {', '.join(failed)}" if failed else f"all {len(done)} items",
        )
    measured = [answers.results[name] for name in _BENCHMARKED if name in answers.results]
    if len(measured) == len(_BENCHMARKED):
        found[BENCHMARKS] = CheckResult(
            id=BENCHMARKS,
            text="Performance benchmarks are met",
            verdict=next(
                (result.verdict for result in measured if result.verdict is not Verdict.PASSED),
                Verdict.PASSED,
            ),
            evidence="; ".join(f"{result.id}: {result.evidence}" for result in measured),
        )
    return found

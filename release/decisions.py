"""What people send to a promotion, and the rules by which it is accepted or refused."""

from typing import Any, TypeVar

from pydantic import Field, ValidationError

from release.change_set import InfrastructureStatus
from release.checklist import Answer, ItemState
from release.lane import FreezeLane, UnfreezeLane
from release.message import Message
from release.policy import Policy
from release.promotion import PromotionRequest
from release.quorum import roles_asked, standing

# Messages stand in the record, which is shown and queried whole.
MOST_NAME, MOST_TEXT = 100, 1000


class Decision(Message):
    """An approval or a rejection of the release, with what proves whose it is."""

    approver: str = Field("", max_length=MOST_NAME)
    comment: str = Field("", max_length=MOST_TEXT)
    digest: str = Field(
        "", max_length=64, description="evidence digest it is meant for, or its first characters"
    )
    code: str = Field(
        "", max_length=MOST_NAME, repr=False, description="one-time code of the approver"
    )
    github_run: int | None = Field(None, description="workflow run whose review is to be read")


class SignOff(Message):
    """A person's answer to one manual checklist item."""

    item: str = Field(min_length=1, max_length=MOST_NAME)
    by: str = Field(min_length=1, max_length=MOST_NAME)
    passed: bool = True
    note: str = Field("", max_length=MOST_TEXT)
    link: str = Field("", max_length=MOST_TEXT)


class Withdrawal(Message):
    """A sign-off or, without an item, an approval taken back before the deploy begins."""

    by: str = Field(min_length=1, max_length=MOST_NAME)
    item: str = Field("", max_length=MOST_NAME)


class Waive(Message):
    """An item that could not be measured is left open, for a reason."""

    item: str = Field(min_length=1, max_length=MOST_NAME)
    by: str = Field(min_length=1, max_length=MOST_NAME)
    reason: str = Field(min_length=1, max_length=MOST_TEXT)


class Supersession(Message):
    """A newer commit of the service has come as far: this release need not wait any more."""

    by: str = Field(min_length=1, max_length=MOST_TEXT, description="the newer promotion's id")
    version: str = Field("", max_length=MOST_NAME)


class Abort(Message):
    """Stop, and put the baseline back if traffic has moved."""

    by: str = Field("somebody in the Temporal UI", max_length=MOST_NAME)
    reason: str = Field("no reason given", max_length=MOST_TEXT)


class Pause(Message):
    """The weight stays where it is, watched, until somebody resumes."""

    by: str = Field("somebody in the Temporal UI", max_length=MOST_NAME)
    reason: str = Field("no reason given", max_length=MOST_TEXT)


class Resume(Message):
    """The ladder goes on."""

    by: str = Field("somebody in the Temporal UI", max_length=MOST_NAME)


class FinishNow(Message):
    """All traffic at once: no more waiting, still watched at 100 %."""

    by: str = Field(min_length=1, max_length=MOST_NAME)
    reason: str = Field(min_length=1, max_length=MOST_TEXT)


MessageType = TypeVar("MessageType", bound=Message)

EXAMPLES: dict[type[Message], str] = {
    Decision: '{"approver": "alice", "comment": "looks good"}',
    SignOff: '{"item": "manual-verification", "by": "alice", "note": "used it on staging"}',
    Withdrawal: '{"by": "alice", "item": "manual-verification"}',
    Waive: '{"item": "memory", "by": "alice", "reason": "no REPORT lines today, see OPS-7"}',
    Supersession: '{"by": "promotion/crypto-watch/0123456789ab", "version": "1.2.4"}',
    Abort: '{"by": "alice", "reason": "wrong commit"}',
    Pause: '{"by": "alice", "reason": "looking at a graph"}',
    Resume: '{"by": "alice"}',
    FinishNow: '{"by": "bob", "reason": "the fix is urgent"}',
    FreezeLane: '{"by": "bob", "reason": "the sale", "until": "2030-11-30T08:00:00Z"}',
    UnfreezeLane: '{"by": "bob", "reason": "the sale is over"}',
}


def read_payload(kind: type[MessageType], payload: Any) -> MessageType | str:
    """The payload as `kind`, or the reason why it is refused. Never raises.

    The Temporal UI lets anything through: an empty box, a bare string, a list.
    """
    send = f"; send {EXAMPLES[kind]}" if kind in EXAMPLES else ""  # else no person sends it
    if payload is None and kind not in (Abort, Pause, Resume):
        return f"empty payload{send}"
    try:
        return kind.model_validate({} if payload is None else payload)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        return f"{where}: {first['msg']}{send}"


def refuse_decision(request: PromotionRequest, decision: Decision) -> str | None:
    """Why this person may not decide on this release, or None."""
    name, approval = decision.approver, request.policy.approval
    if not name:
        return f"who are you? send {EXAMPLES[Decision]}"
    if not approval.roles_of(name):
        return f"{name} is not an approver; who may: {who_may(request)}"
    if name == request.requester:
        return f"{name} requested this release and cannot decide on it"
    if name in request.authors and not approval.authors_may_approve:
        return f"{name} wrote a part of this release and cannot decide on it"
    if not set(approval.roles_of(name)) & set(roles_asked(approval, major=request.is_major)):
        roles = ", ".join(role.replace("_", " ") for role in approval.roles_of(name))
        return f"{name} is {roles}, who is asked for major versions only"
    return None


def refuse_sign_off(policy: Policy, sign_off: SignOff) -> str | None:
    """Why this sign-off does not count, or None."""
    items = {item.id: item for item in policy.checklist.items() if item.manual}
    item = items.get(sign_off.item)
    if item is None:
        return f"no manual item {sign_off.item!r}; there is: {', '.join(items) or 'none'}"
    if not set(policy.approval.roles_of(sign_off.by)) & set(item.manual):
        return f"{sign_off.by} may not sign off {item.id}; roles that may: {', '.join(item.manual)}"
    if not sign_off.passed and not sign_off.note:
        return f"a failed {item.id} needs a note that says why"
    return None


def refuse_waiver(policy: Policy, items: tuple[ItemState, ...], waive: Waive) -> str | None:
    """Why this waiver does not count, or None. Only what could not be measured can be waived."""
    refusal = _refuse_waiver_of(policy, waive.by)
    if refusal:
        return refusal
    state = next((item for item in items if item.id == waive.item), None)
    if state is None:
        return f"no item {waive.item!r}; see `starter.py checklist`"
    if state.answer is not Answer.INCONCLUSIVE:
        return f"{state.id} is {state.answer.value}: only an inconclusive item can be waived"
    return None


def refuse_infrastructure_waiver(
    policy: Policy, infrastructure: InfrastructureStatus | None, waive: Waive
) -> str | None:
    """Why this waiver of a refused change of a stack does not count, or None."""
    if infrastructure is None or not infrastructure.objections:
        return "no change of the infrastructure waits for a waiver"
    return _refuse_waiver_of(policy, waive.by)


def _refuse_waiver_of(policy: Policy, name: str) -> str | None:
    waivers = policy.checklist.waivers
    if set(policy.approval.roles_of(name)) & set(waivers):
        return None
    return f"{name} may not waive; roles that may: {', '.join(waivers) or 'none'}"


def refuse_finish_now(policy: Policy, finish: FinishNow) -> str | None:
    """Why this person may not skip the rest of the ladder, or None."""
    if not set(policy.approval.roles_of(finish.by)) & set(policy.checklist.waivers):
        roles = ", ".join(policy.checklist.waivers) or "none"
        return f"{finish.by} may not finish the shift early; roles that may: {roles}"
    return None


def who_may(request: PromotionRequest) -> str:
    """The people who can decide on this release, with their roles."""
    approval = request.policy.approval
    people = [
        f"{name} ({role.replace('_', ' ')})"
        for role in roles_asked(approval, major=request.is_major)
        for name in approval.roles[role].people
        if counts(request, name)
    ]
    return ", ".join(people) or "nobody"


def counts(request: PromotionRequest, name: str) -> bool:
    """Whether this person's word on the release can count at all: neither requester nor author."""
    if name == request.requester:
        return False
    return request.policy.approval.authors_may_approve or name not in request.authors


def impossible_quorum(request: PromotionRequest) -> str | None:
    """Which role cannot be filled by anybody who may decide on this release, or None.

    Said at `promote`: otherwise the question would stand for a day for nothing.
    """
    approval = request.policy.approval
    people = dict.fromkeys(name for entry in approval.roles.values() for name in entry.people)
    able = tuple(name for name in people if counts(request, name))
    for role in standing(approval, able, major=request.is_major):
        if not role.is_filled:
            out = ", ".join(name for name in role.people if name not in able)
            why = f"requester and authors do not count ({out})" if out else "each fills one role"
            return (
                f"nobody can approve as {role.role.replace('_', ' ')}: it needs {role.needed}, and "
                f"of its people {why}"
            )
    return None

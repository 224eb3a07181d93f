"""What people send to a promotion, and the rules by which it is accepted or refused.

Who somebody is, is a claim in the payload: the Temporal UI sends no identity at all.
"""

from typing import Any, TypeVar

from pydantic import Field, ValidationError

from release.message import Message
from release.policy import Policy
from release.promotion import PromotionRequest


class Decision(Message):
    """An approval or a rejection of the release."""

    approver: str = Field(min_length=1)
    comment: str = ""


class SignOff(Message):
    """A person's answer to one manual checklist item."""

    item: str = Field(min_length=1)
    by: str = Field(min_length=1)
    passed: bool = True
    note: str = ""


class Abort(Message):
    """Stop, and put the baseline back if traffic has moved."""

    by: str = "somebody in the Temporal UI"
    reason: str = "no reason given"


MessageType = TypeVar("MessageType", bound=Message)

EXAMPLES: dict[type[Message], str] = {
    Decision: '{"approver": "alice", "comment": "looks good"}',
    SignOff: '{"item": "manual-verification", "by": "alice", "note": "used it on staging"}',
    Abort: '{"by": "alice", "reason": "wrong commit"}',
}


def read_payload(kind: type[MessageType], payload: Any) -> MessageType | str:
    """The payload as `kind`, or the reason why it is refused. Never raises.

    The Temporal UI lets anything through: an empty box, a bare string, a list.
    """
    if payload is None and kind is not Abort:
        return f"empty payload; send {EXAMPLES[kind]}"
    try:
        return kind.model_validate({} if payload is None else payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        return f"{where}: {first['msg']}; send {EXAMPLES[kind]}"


def refuse_decision(request: PromotionRequest, decision: Decision) -> str | None:
    """Why this person may not decide on this release, or None."""
    if request.policy.approval.role_of(decision.approver) is None:
        return f"{decision.approver} is not an approver; who may: {who_may(request)}"
    if decision.approver == request.requested_by:
        return f"{decision.approver} requested this release and cannot decide on it"
    return None


def refuse_sign_off(policy: Policy, sign_off: SignOff) -> str | None:
    """Why this sign-off does not count, or None."""
    items = {item.id: item for item in policy.checklist.manual}
    item = items.get(sign_off.item)
    if item is None:
        return f"no manual item {sign_off.item!r}; there is: {', '.join(items) or 'none'}"
    if not any(sign_off.by in policy.approval.approvers[role] for role in item.roles):
        return f"{sign_off.by} may not sign off {item.id}; roles that may: {', '.join(item.roles)}"
    if not sign_off.passed and not sign_off.note:
        return f"a failed {item.id} needs a note that says why"
    return None


def who_may(request: PromotionRequest) -> str:
    """The people who can decide on this release, with their roles."""
    return ", ".join(
        f"{name} ({role.replace('_', ' ')})"
        for role, names in request.policy.approval.approvers.items()
        for name in names
        if name != request.requested_by
    )

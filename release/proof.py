"""One-time codes (RFC 6238) as proof of whose approval it is: the rules, without any secret.

Time is the time at which the message arrived. Messages can be judged out of order, so where an
order matters the clock of an approver's codes never goes back: it is the latest of all that count.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from release.message import Message

STEP_SECONDS = 30
STEPS_EITHER_SIDE = 1  # RFC 6238, 5.2: one step for the network and for clocks that differ
MAX_WRONG = 5
WINDOW = timedelta(minutes=15)
_REMEMBERED = 20  # accepted attempts whose retry is recognised; a person needs 10 minutes for more
_NAME = re.compile(r"[A-Za-z0-9_+=.@-]{1,64}")  # of what Secrets Manager allows, all but the slash
_CODE = re.compile(r"[0-9]{6}")


class CodeVerdict(StrEnum):
    """What became of a code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    USED = "used"
    LOCKED = "locked"
    NO_SECRET = "no-secret"  # noqa: S105  a verdict  # nosec B105


class CodeResult(Message):
    """The verdict, and what the person is told to do; nothing of a secret is in it."""

    verdict: CodeVerdict
    text: str = ""


class Accepted(Message):
    """A code that counted, and the attempt that brought it."""

    step: int
    attempt: str
    at: datetime


class Wrong(Message):
    """A code that was wrong; `counted_at` is `at` on the clock that never goes back."""

    attempt: str
    at: datetime
    counted_at: datetime


class CodeState(Message):
    """What is remembered of one approver's codes."""

    accepted: tuple[Accepted, ...] = Field((), description="the latest, oldest first")
    wrong: tuple[Wrong, ...] = Field((), description="since the last right code, within the window")
    locked_until: datetime | None = None

    @property
    def last_step(self) -> int | None:
        """The last step that was used; only later ones can be."""
        return self.accepted[-1].step if self.accepted else None


def secret_name(service: str, approver: str) -> str | None:
    """Where the approver's secret lies; None when no secret can have that name."""
    return f"{service}/approvers/{approver}/totp" if _NAME.fullmatch(approver) else None


def looks_like_code(text: str) -> bool:
    """Six digits, and ASCII ones: others would compare equal to them after normalisation."""
    return _CODE.fullmatch(text) is not None


def steps_around(at: datetime) -> range:
    """The steps whose codes are good at that moment."""
    step = int(at.timestamp()) // STEP_SECONDS
    return range(max(0, step - STEPS_EITHER_SIDE), step + STEPS_EITHER_SIDE + 1)


def answer_known(state: CodeState, attempt: str, at: datetime) -> CodeResult | None:
    """The answer that needs no look at the code: a retry's, or that of a locked approver.

    A retry is told what its first try was told, if that was written down.
    """
    if any((entry.attempt, entry.at) == (attempt, at) for entry in state.accepted):
        return _ACCEPTED
    if any((entry.attempt, entry.at) == (attempt, at) for entry in state.wrong):
        return _wrong(state)
    if state.locked_until is not None and at < state.locked_until:
        return CodeResult(verdict=CodeVerdict.LOCKED, text=_locked(state.locked_until))
    return None


def judge_code(
    state: CodeState, attempt: str, at: datetime, steps: tuple[int, ...]
) -> tuple[CodeState, CodeResult]:
    """What is to be remembered, and the answer; nobody may hear it before it is remembered.

    `steps` are those whose code was given; none means that it is wrong. A code that was used, or
    is older than one that was, is refused without counting as a guess: whoever has it knew it.
    """
    if not steps:
        return _count_wrong(state, attempt, at)
    unused = [step for step in steps if state.last_step is None or step > state.last_step]
    if not unused:
        return state, _USED
    accepted = (*state.accepted, Accepted(step=min(unused), attempt=attempt, at=at))
    # a lock that is over stays noted: a message from before its end is still refused
    return (
        state.model_copy(update={"accepted": accepted[-_REMEMBERED:], "wrong": ()}),
        _ACCEPTED,
    )


def _count_wrong(state: CodeState, attempt: str, at: datetime) -> tuple[CodeState, CodeResult]:
    now = max((at, *(entry.counted_at for entry in state.wrong)))
    recent = [entry for entry in state.wrong if now - entry.counted_at < WINDOW]
    wrong = (*recent, Wrong(attempt=attempt, at=at, counted_at=now))
    until = now + WINDOW if len(wrong) >= MAX_WRONG else state.locked_until
    counted = state.model_copy(update={"wrong": wrong, "locked_until": until})
    return counted, _wrong(counted)


def _wrong(state: CodeState) -> CodeResult:
    left = MAX_WRONG - len(state.wrong)
    if left <= 0 and state.locked_until is not None:
        text = f"that code is wrong; {_locked(state.locked_until)}"
    else:
        text = (
            "that code is wrong: send the six digits that your app shows now, without spaces, and "
            f"check your phone's clock; {left} more wrong ones lock your codes for 15 minutes"
        )
    return CodeResult(verdict=CodeVerdict.WRONG, text=text)


def _locked(until: datetime) -> str:
    return (
        f"{MAX_WRONG} wrong codes within 15 minutes: your codes are locked until "
        f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; send a new one after that, and tell "
        "operations if it was not you"
    )


_ACCEPTED = CodeResult(verdict=CodeVerdict.ACCEPTED, text="the code proves who you are")
_USED = CodeResult(
    verdict=CodeVerdict.USED,
    text="that code was used, or is older than one that was: a code works once, here or in any "
    "other promotion; wait for the next one, at most 30 s, and send that",
)

"""The product broken on purpose, one way each: a simulation that sees none of it proves nothing."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from temporalio.common import RetryPolicy

import activities.shift_step
import activities.traffic
import workflows.inbox
import workflows.promotion
import workflows.steps.roll_back
import workflows.steps.wait_for_approval
from release.promotion import Stage
from release.verdict import Verdict
from tests.simulation import interleaving

_write = activities.traffic.Traffic._write
_judge = activities.shift_step._Step._judge
_roll_back = workflows.promotion.roll_back
_note = workflows.inbox.Inbox._note
_abort = workflows.inbox.Inbox.abort
_reject = workflows.inbox.Inbox.reject
_tell = workflows.promotion.tell_shifting


def _write_over_anybody(traffic: Any, state: Any) -> Any:
    """Without the compare of compare-and-set."""
    found = traffic.read(state.function, state.alias)
    return _write(traffic, state.model_copy(update={"revision_id": found.revision_id}))


def _move_over_anybody(traffic: Any, order: Any) -> Any:
    """The weight is set whatever is there."""
    return _write_over_anybody(traffic, activities.traffic._target(order))


def _pass_unseen(step: Any, now: Any) -> Any:
    """A rung passes when its time is over, whatever was seen."""
    judgement = _judge(step, now)
    if judgement is not None and judgement.verdict is not Verdict.PASSED:
        return judgement.model_copy(update={"verdict": Verdict.PASSED})
    return judgement


def _pass_without_looking(step: Any, now: Any) -> Any:
    """A rung's end is decided without a look at the alarms."""
    step._watching._firing = lambda _: ()
    return _judge(step, now)


async def _roll_back_but_not_aborts(state: Any, baseline: Any, canary: Any) -> None:
    if state.aborted is None:
        await _roll_back(state, baseline, canary)


async def _roll_back_only_the_api(state: Any, baseline: Any, canary: Any) -> None:
    await _roll_back(state, {"api": baseline["api"]}, canary)


def _lose_refusals(inbox: Any, kind: str, by: str, refusal: str | None, text: str = "") -> Any:
    """A message that is refused leaves no trace."""
    return refusal if refusal else _note(inbox, kind, by, refusal, text)


def _any_vote(standings: Any) -> bool:
    return any(standing.is_filled for standing in standings)


def _keep_the_vote(inbox: Any, withdrawal: Any) -> str | None:
    """Taken in, and the vote counts all the same."""
    return None if withdrawal.by in inbox._state.votes else f"{withdrawal.by} has not approved"


def _tell_every_other_time(*arguments: Any) -> None:
    """Not the same in a replay."""
    if next(_TIMES) % 2:
        _tell(*arguments)


_TIMES = itertools.count()


async def _no_settling(ladder: Any) -> None:
    """The lease stays beside the weight."""


def _forget_an_abort_while_baking(inbox: Any, payload: Any) -> str | None:
    """Taken in, and forgotten."""
    if inbox._state.status.stage is not Stage.BAKE:
        return _abort(inbox, payload)
    return _note(inbox, "abort", "somebody", None, "forgotten")


def _forget_a_rejection(inbox: Any, payload: Any) -> str | None:
    """Taken in, and forgotten."""
    refusal = _reject(inbox, payload)
    inbox._state.rejected = None
    return refusal


@contextmanager
def _patched(target: Any, **changes: Any) -> Iterator[None]:
    patches = [patch.object(target, name, new) for name, new in changes.items()]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


@contextmanager
def _any_vote_will_do() -> Iterator[None]:
    with (
        _patched(workflows.promotion, is_complete=_any_vote),
        _patched(workflows.steps.wait_for_approval, is_complete=_any_vote),
    ):
        yield


_GIVES_UP = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=2),
}

MUTATIONS: dict[str, Callable[[], Any]] = {
    "an alias is written over whatever somebody else put there": lambda: _patched(
        activities.traffic.Traffic, move=_move_over_anybody
    ),
    "a rung passes whatever is seen": lambda: _patched(
        activities.shift_step._Step, _judge=_pass_unseen
    ),
    "a rung is decided without a look at the alarms": lambda: _patched(
        activities.shift_step._Step, _judge=_pass_without_looking
    ),
    "a step that comes late climbs without a look": lambda: _patched(
        activities.shift_step._Step, _climbs_late=lambda _: False
    ),
    "an outage counts as the time of a step": lambda: _patched(
        activities.shift_step._Step, _began=lambda step: step._order.since
    ),
    "one vote is enough": _any_vote_will_do,
    "a vote that was withdrawn counts": lambda: _patched(
        workflows.inbox.Inbox, _withdraw_vote=_keep_the_vote
    ),
    "an abort puts nothing back": lambda: _patched(
        workflows.promotion, roll_back=_roll_back_but_not_aborts
    ),
    "an abort while it bakes is forgotten": lambda: _patched(
        workflows.inbox.Inbox, abort=_forget_an_abort_while_baking
    ),
    "a rejection is forgotten": lambda: _patched(workflows.inbox.Inbox, reject=_forget_a_rejection),
    "only the API is rolled back": lambda: _patched(
        workflows.promotion, roll_back=_roll_back_only_the_api
    ),
    "a rollback gives up": lambda: _patched(workflows.steps.roll_back.options, ROLLBACK=_GIVES_UP),
    "a refusal leaves no trace": lambda: _patched(workflows.inbox.Inbox, _note=_lose_refusals),
    "the lease stays at the end": lambda: _patched(workflows.promotion.Ladder, settle=_no_settling),
    "the guard never looks at a stale lease": lambda: _patched(
        interleaving._guard.app, _reason=lambda *_: None
    ),
    "the workflow is not deterministic": lambda: _patched(
        workflows.promotion, tell_shifting=_tell_every_other_time
    ),
}

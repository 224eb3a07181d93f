"""Take the production lane: alone in production, or wait in line, visibly and not for ever."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from release.lane import Priority
    from release.promotion import Outcome, Stage

from release.quorum import is_complete
from workflows.state import Ended, PromotionState

ASK_AGAIN_EVERY = timedelta(hours=1)
"""A lane that was terminated has forgotten who waits: it is told again."""


async def take_lane(state: PromotionState) -> bool:
    """True: nobody else moves production now. False: what was approved has changed meanwhile.

    Raises:
        Ended: rejected or superseded; or expired, for no approval is good for ever.
    """
    request, windows = state.request, state.policy.windows
    priority = Priority.HOTFIX if request.hotfix else Priority.NORMAL
    state.lane.take(request.version, priority, sha=request.sha, windows=windows)
    opens = workflow.now() if request.hotfix else windows.opens(workflow.now())
    await _until_held(state, _Wait("production", opens + state.policy.approval.timeout))
    return not _has_changed(state)


async def look_alone(state: PromotionState) -> None:
    """Production stands still, until the lane is left; no freeze and no window counts for that.

    Raises:
        Ended: rejected or superseded; or expired.
    """
    state.lane.take(f"{state.request.version}, to look", Priority.NORMAL, moves=False)
    deadline = workflow.now() + state.policy.approval.timeout
    await _until_held(
        state, _Wait("the approvers are asked, once production stands still", deadline)
    )


@dataclass(frozen=True)
class _Wait:
    """What comes after the wait, in words, and when that is given up."""

    next: str
    deadline: datetime


async def _until_held(state: PromotionState, wait: _Wait) -> None:
    while not (state.lane.is_held or _has_changed(state)):
        await _ask(state, wait)
        await _stay(state, wait)


def _has_changed(state: PromotionState) -> bool:
    """What was approved is so no more; before that nothing can be."""
    is_approved = bool(state.status.digest)
    return is_approved and (state.has_changed() or not is_complete(state.quorum()))


async def _ask(state: PromotionState, wait: _Wait) -> None:
    """The lane has answered, or did not for long; meanwhile messages are heeded."""
    state.show(next=wait.next)
    asking = asyncio.create_task(state.lane.ask())
    text = "its lane does not answer, and is asked again"
    try:
        await state.wait(lambda: asking.done() or _has_changed(state), None, "")
        if asking.done():
            asking.result()
    except ActivityError as failure:
        text = f"its lane does not answer ({failure.cause or failure}), and is asked again"
    finally:
        asking.cancel()
    if not state.lane.is_held:
        said = state.lane.says.text if state.lane.says else text
        state.enter(Stage.LANE, f"{wait.next}; {said}", wait.deadline)


async def _stay(state: PromotionState, wait: _Wait) -> None:
    """The lane is this promotion's, or it is time to ask again, or to end."""
    left = wait.deadline - workflow.now()
    try:
        await state.wait(
            lambda: state.lane.is_held or _has_changed(state),
            min(left, ASK_AGAIN_EVERY),
            "ask for the lane again" if left > ASK_AGAIN_EVERY else "nobody waits for ever",
        )
    except TimeoutError:
        if workflow.now() >= wait.deadline:
            until = f"{wait.deadline:%Y-%m-%d %H:%M} UTC"
            reason = f"not let into production by {until}: {state.status.next}"
            raise Ended(Outcome.EXPIRED, reason) from None

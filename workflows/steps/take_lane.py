"""Take the production lane: alone in production, or wait in line, visibly and not for ever."""

import asyncio
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
    deadline = opens + state.policy.approval.timeout
    while not (state.lane.is_held or _has_changed(state)):
        await _ask(state, deadline)
        await _wait(state, deadline)
    return not _has_changed(state)


def _has_changed(state: PromotionState) -> bool:
    return state.has_changed() or not is_complete(state.quorum())


async def _ask(state: PromotionState, deadline: datetime) -> None:
    """The lane has answered, or did not for long; meanwhile messages are heeded."""
    state.show(next="production, as soon as its lane lets this one in")
    asking = asyncio.create_task(state.lane.ask())
    try:
        await state.wait(lambda: asking.done() or _has_changed(state), None, "")
        text = "its lane does not answer, and is asked again"
        if asking.done():
            asking.result()
    except ActivityError as failure:
        text = f"its lane does not answer ({failure.cause or failure}), and is asked again"
    finally:
        asking.cancel()
    if not state.lane.is_held:
        state.enter(Stage.LANE, waiting_text(state, text), deadline)


def waiting_text(state: PromotionState, otherwise: str = "") -> str:
    """What a promotion waits for, in the lane's words."""
    said = state.lane.says.text if state.lane.says else otherwise
    return f"production; {said}"


async def _wait(state: PromotionState, deadline: datetime) -> None:
    """The lane is this promotion's, or it is time to ask again, or to end."""
    left = deadline - workflow.now()
    try:
        await state.wait(
            lambda: state.lane.is_held or _has_changed(state),
            min(left, ASK_AGAIN_EVERY),
            "ask for the lane again" if left > ASK_AGAIN_EVERY else "no approval is good for ever",
        )
    except TimeoutError:
        if workflow.now() >= deadline:
            within = f"approved, but not let into production by {deadline:%Y-%m-%d %H:%M} UTC"
            raise Ended(Outcome.EXPIRED, f"{within}: {state.status.next}") from None

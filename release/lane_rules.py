"""The rules of the production lane: who is let in next, why the others wait, what a message does.

Every function takes a lane and gives the lane that follows; the clock is an argument.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from release.lane import Claim, FreezeLane, Lane, Leave, Priority, Says, UnfreezeLane
from release.promotion import InboxRecord

MOST_RECORDS = 30
MOST_LEFT = 100
_MOST_NAMES = 3
_BEGINNING = "the lane has only just begun: it looks who moves production already"


# --- who is let in ---


def settle(lane: Lane, now: datetime) -> Lane:
    """The lane with the next one let in, if one may be; and without a freeze that is over."""
    if lane.freeze is not None and not _is_frozen(lane, now):
        lane = note(lane, now, "unfreeze", "the lane", "the freeze was until now")
        lane = lane.model_copy(update={"freeze": None})
    claim = _next(lane, now)
    if claim is None:
        return lane
    queue = tuple(one for one in lane.queue if one != claim)
    lane = lane.model_copy(update={"queue": queue, "holders": (claim,)})
    return note(lane, now, "let in", claim.what, claim.workflow)


def _next(lane: Lane, now: datetime) -> Claim | None:
    """The first of the queue that may go now; one that may not yet holds up nobody."""
    if not lane.begun or lane.holders:
        return None
    frozen_now = _is_frozen(lane, now)
    able = (claim for claim in lane.queue if not (claim.moves and frozen_now))
    return next((claim for claim in able if _opens(claim, now) <= now), None)


def wakes_at(lane: Lane, now: datetime) -> datetime | None:
    """When time alone may change who is let in; None: it takes a message."""
    until = lane.freeze.until if lane.freeze else None
    times = [_opens(claim, now) for claim in lane.queue] + ([until] if until else [])
    return min((time for time in times if time > now), default=None)


def _opens(claim: Claim, now: datetime) -> datetime:
    """When the claim's window opens; what mends production, or only looks, waits for none."""
    waits = claim.priority is Priority.NORMAL and claim.moves
    return claim.windows.opens(now) if waits else now


def _is_frozen(lane: Lane, now: datetime) -> bool:
    freeze = lane.freeze
    return freeze is not None and (freeze.until is None or now < freeze.until)


# --- what is said ---


def says(lane: Lane, claim: Claim, now: datetime) -> Says:
    """The lane's word to one that holds it or waits."""
    granted = claim in lane.holders
    text = "" if granted else why(lane, claim, now)
    return Says(run=claim.run, ticket=claim.ticket, granted=granted, text=text)


def why(lane: Lane, claim: Claim, now: datetime) -> str:
    """Why one of the queue is not let in: its place, and everything that holds it."""
    place = lane.queue.index(claim)
    ahead = [one.what for one in (*lane.holders, *lane.queue[:place])]
    more = f" and {len(ahead) - _MOST_NAMES} more" if len(ahead) > _MOST_NAMES else ""
    reasons = [f"behind {', '.join(ahead[:_MOST_NAMES])}{more}"] if ahead else []
    if not lane.begun:
        reasons.append(_BEGINNING)
    if claim.moves and lane.freeze is not None and _is_frozen(lane, now):
        reasons.append(frozen(lane.freeze))
    opens = _opens(claim, now)
    if opens > now:
        reasons.append(f"its window opens at {opens:%a %Y-%m-%d %H:%M} UTC")
    return f"{_ordinal(place + 1)} in line: {'; '.join(reasons) or 'let in at once'}"


def frozen(freeze: FreezeLane) -> str:
    """A freeze in words."""
    until = (
        f"until {freeze.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if freeze.until
        else "until it is lifted"
    )
    return f"frozen {until} by {freeze.by}: {freeze.reason}"


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 11 <= number % 100 <= 13 else suffix}"


# --- what the messages do ---


def join(lane: Lane, claim: Claim, now: datetime) -> Lane:
    """The claim waits, or holds the lane at once if it is a rollback's. Said twice, once done.

    An earlier run of the same workflow is over: its claim goes. A claim that was left before it
    came, as a late retry can, does not count.
    """
    if find(lane, claim) is not None or any(
        claim.is_of(gone) and claim.ticket <= gone.ticket for gone in lane.left
    ):
        return lane
    lane = _without(lane, lambda one: one.workflow == claim.workflow)
    lane = note(lane, now, "join", claim.what, f"{claim.priority.name.lower()}: {claim.workflow}")
    if claim.priority is Priority.ROLLBACK:
        return lane.model_copy(update={"holders": (*lane.holders, claim)})
    queue = sorted((*lane.queue, claim), key=lambda one: (one.priority, one.since, one.workflow))
    return lane.model_copy(update={"queue": tuple(queue)})


def find(lane: Lane, claim: Claim) -> Claim | None:
    """The same claim as it stands in the lane; its place may have become a better one."""
    known = (one for one in (*lane.holders, *lane.queue) if one.is_of(claim))
    return next((one for one in known if one.ticket == claim.ticket), None)


def leave(lane: Lane, leaving: Leave, now: datetime, why: str = "") -> Lane:
    """The workflow neither holds the lane nor waits, by this ticket or an earlier one."""
    left = (*lane.left, leaving)[-MOST_LEFT:]
    gone = [
        one
        for one in (*lane.holders, *lane.queue)
        if one.is_of(leaving) and one.ticket <= leaving.ticket
    ]
    lane = _without(lane, lambda one: one in gone).model_copy(update={"left": left})
    for claim in gone:
        lane = note(lane, now, "leave", claim.what, why or claim.workflow)
    return lane


def give_way(lane: Lane, older: Claim, newer: Claim, now: datetime) -> Lane:
    """The newer one, which contains the older, has its place; both waited."""
    if older not in lane.queue or newer not in lane.queue:
        return lane
    # the better place as a whole: a hotfix's priority with an earlier normal's time is nobody's
    priority, since = min((one.priority, one.since) for one in (older, newer))
    moved = newer.model_copy(update={"priority": priority, "since": since})
    rest = [one for one in lane.queue if one not in (older, newer)]
    queue = sorted((*rest, moved), key=lambda one: (one.priority, one.since, one.workflow))
    lane = lane.model_copy(update={"queue": tuple(queue)})
    return note(lane, now, "superseded", older.what, f"by {newer.what}, which contains it")


def adopt(lane: Lane, moving: tuple[Claim, ...], now: datetime) -> Lane:
    """A lane that begins knows who moves production already: they hold it."""
    new = tuple(claim for claim in moving if not any(claim.is_of(one) for one in lane.holders))
    lane = _without(lane, lambda one: any(one.is_of(claim) for claim in new))
    lane = lane.model_copy(update={"begun": True, "holders": (*lane.holders, *new)})
    for claim in new:
        lane = note(lane, now, "found", claim.what, f"{claim.workflow} moves production")
    return lane


def refuse_freeze(lane: Lane, freeze: FreezeLane, now: datetime) -> str | None:
    """Why the lane is not frozen so, or None. Nobody shortens another's freeze by a slip."""
    if freeze.until is not None and freeze.until <= now:
        return f"{freeze.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC is over already"
    standing = lane.freeze
    if standing is None or not _is_frozen(lane, now):
        return None
    shorter = freeze.until is not None and (standing.until is None or freeze.until < standing.until)
    return f"it is {frozen(standing)}; that is longer: unfreeze first" if shorter else None


def refuse_unfreeze(lane: Lane, _: UnfreezeLane, now: datetime) -> str | None:
    """Why there is nothing to lift, or None."""
    return None if _is_frozen(lane, now) else "it is not frozen"


def note(
    lane: Lane, now: datetime, kind: str, by: str, text: str, *, accepted: bool = True
) -> Lane:
    """What came stands in the lane's record, which keeps the last."""
    record = InboxRecord(at=now, kind=kind, by=by or "unknown", accepted=accepted, text=text)
    return lane.model_copy(update={"records": (*lane.records, record)[-MOST_RECORDS:]})


def _without(lane: Lane, goes: Callable[[Claim], bool]) -> Lane:
    return lane.model_copy(
        update={
            "holders": tuple(one for one in lane.holders if not goes(one)),
            "queue": tuple(one for one in lane.queue if not goes(one)),
        }
    )

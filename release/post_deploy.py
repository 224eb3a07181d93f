"""The day after a release: what is looked at when, and what harm leads to."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime, Field

from release.checklist import ProductionCheck, WatchItem
from release.message import Message
from release.policy import Policy, PostDeploy
from release.promotion import AliasState, PromotionRequest
from release.rollback import AliasTarget, RollbackRequest, Undone
from release.text import percent
from release.verdict import CheckResult, Verdict

LOOK_EVERY = timedelta(seconds=45)
CONFIRM_AFTER = timedelta(seconds=30)
"""A check that failed is looked at again after so long; only two failures in a row are harm."""

_SPAN = timedelta(minutes=15)  # what a look in the first hour looks back on
_ROUNDS = (1 / 12, 1 / 4, 1 / 2, 3 / 4, 1.0)  # of the day: after 2, 6, 12, 18 and 24 h
_GRACE = timedelta(minutes=5)  # a look that began in time may end, and be told, a little later


class Window(StrEnum):
    """The three windows of the flow's post-deployment verification."""

    IMMEDIATE = "immediate"
    SHORT_TERM = "short term"
    LONG_TERM = "long term"


class WatchOutcome(StrEnum):
    """How the day after a release ended."""

    PASSED = "passed"
    UNMEASURED = "not all measured"
    HARM = "harm seen"
    ROLLED_BACK = "rolled back"
    SUPERSEDED = "superseded"


class Action(StrEnum):
    """What a look leads to."""

    GO_ON = "go on"
    ROLL_BACK = "roll back"
    PAGE = "page"
    END = "end"


class Served(StrEnum):
    """What an alias has to do with the release that is watched."""

    OURS = "ours"
    SHARED = "shared"
    ANOTHERS = "another's"


class PostDeployRequest(Message):
    """A release that has all of production's traffic, to be watched for a day."""

    promotion: PromotionRequest
    run_id: str = Field(description="of the promotion in Temporal: an id may run again")
    released_at: AwareDatetime
    published: dict[str, str] = Field(description="function → its version in production")
    baseline: dict[str, str] = Field(description="function → the version served before")
    red_before: tuple[str, ...] = Field((), description="alarms red since before the release")
    temporal_ui: str = ""

    @property
    def workflow_id(self) -> str:
        """One watch per run of a promotion."""
        return post_deploy_id(self.promotion.workflow_id, self.run_id)

    @property
    def policy(self) -> PostDeploy:
        """The windows and their items."""
        return self.promotion.policy.post_deploy

    @property
    def ends_at(self) -> datetime:
        """When nobody watches it any more."""
        return self.released_at + self.policy.long_term_until


class ItemSeen(Message):
    """One item, as it was seen last."""

    window: Window
    id: str
    text: str
    check: ProductionCheck
    verdict: Verdict | None = Field(None, description="None until it was looked at")
    evidence: str = ""
    at: datetime | None = None


class PostDeployStatus(Message):
    """Everything a person may ask of the day after; the answer of its `status` query."""

    workflow_id: str
    service: str
    sha: str
    version: str
    window: Window = Window.IMMEDIATE
    until: datetime
    items: tuple[ItemSeen, ...]
    told: tuple[str, ...] = Field((), description="harm that people were told of, oldest first")
    next: str = ""
    outcome: WatchOutcome | None = None
    reason: str = ""


class PostDeployResult(Message):
    """How the day after ended, item by item."""

    outcome: WatchOutcome
    reason: str
    sha: str
    items: tuple[ItemSeen, ...]


class Stretch(NamedTuple):
    """A stretch of the day: watched all the time, or looked at once at its end."""

    window: Window
    begins: timedelta  # since the release, as `ends`
    ends: timedelta
    is_round: bool

    def span(self, factor: float) -> timedelta:
        """How far back a look looks: a round as far as the look before."""
        return self.ends - self.begins if self.is_round else _SPAN / factor


def post_deploy_id(promotion_id: str, run_id: str) -> str:
    """The workflow id of the watch that a run of a promotion left behind."""
    kind, _, rest = promotion_id.partition("/")
    assert kind == "promotion", kind  # noqa: S101  its own ids begin so
    # its end: the server's run ids begin with the time, which two runs within a minute share
    return f"post-deploy/{rest}/{run_id[-8:]}"


def schedule(policy: PostDeploy) -> Iterator[Stretch]:
    """The day in its order. Each stretch begins where the one before ends."""
    first, second = policy.immediate_until, policy.short_term_until
    yield Stretch(Window.IMMEDIATE, timedelta(0), first, is_round=False)
    yield Stretch(Window.SHORT_TERM, first, second, is_round=False)
    begins = second
    for share in _ROUNDS:
        ends = policy.long_term_until * share
        if ends > begins:
            yield Stretch(Window.LONG_TERM, begins, ends, is_round=True)
            begins = ends


def items_until(policy: PostDeploy, window: Window) -> tuple[WatchItem, ...]:
    """What is looked at in a window: its own items, and those of the windows before."""
    return tuple(item for began, item in _by_window(policy) if _ORDER[began] <= _ORDER[window])


def unseen(policy: PostDeploy) -> tuple[ItemSeen, ...]:
    """Every item, before anything was looked at."""
    return tuple(
        ItemSeen(window=window, id=item.id, text=item.text, check=item.auto)
        for window, item in _by_window(policy)
    )


def seen(
    items: tuple[ItemSeen, ...], results: tuple[CheckResult, ...], at: datetime
) -> tuple[ItemSeen, ...]:
    """The items with what a look found; the newest look counts, also where it could not measure."""
    found = {result.id: result for result in results}
    return tuple(
        item.model_copy(
            update={
                "verdict": found[item.check].verdict,
                "evidence": found[item.check].evidence,
                "at": at,
            }
        )
        if item.check in found
        else item
        for item in items
    )


def judge_served(alias: AliasState, version: str) -> Served:
    """Whose the alias is. Shared: a release or a drill moves its traffic now, or weights stand."""
    if version not in (alias.version, alias.canary):
        return Served.ANOTHERS
    return Served.OURS if alias.canary is None else Served.SHARED


def served_text(alias: AliasState) -> str:
    """What an alias serves, in words."""
    whole = f"version {alias.version}"
    if alias.canary is None:
        return whole
    return f"{whole}, with {percent(alias.weight)} of the traffic on version {alias.canary}"


def next_action(
    request: PostDeployRequest, now: datetime, results: tuple[CheckResult, ...], superseded: str
) -> Action:
    """What a look leads to. Only harm does harm: what could not be measured changes nothing.

    In the first hour the release is the likeliest cause, and to go back costs least; later it is
    people who decide. A look that a dead worker held up into the day pages, too.
    """
    if superseded:
        return Action.END
    if not any(result.verdict is Verdict.FAILED for result in results):
        return Action.GO_ON
    grace = _GRACE / request.promotion.clock_factor
    early = now <= request.released_at + request.policy.short_term_until + grace
    return Action.ROLL_BACK if early else Action.PAGE


def harm(results: tuple[CheckResult, ...]) -> str:
    """What failed, with its figures."""
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    return "; ".join(f"{result.id}: {result.evidence}" for result in failed)


def judge_day(items: tuple[ItemSeen, ...], told: tuple[str, ...]) -> tuple[WatchOutcome, str]:
    """How a day ended that nobody cut short. Harm that went away again is harm all the same."""
    open_ = [i.id for i in items if i.verdict in (None, Verdict.INCONCLUSIVE)]
    if told:
        return WatchOutcome.HARM, told[0]
    if open_:
        return WatchOutcome.UNMEASURED, f"could not be measured: {', '.join(open_)}"
    return WatchOutcome.PASSED, f"all {len(items)} items passed"


def rollback_of(request: PostDeployRequest, release: str, reason: str) -> RollbackRequest:
    """Production back to what it served before the release, which is quarantined.

    `release` is that by version and commit; without a commit the deployment record is not moved.
    """
    promotion, policy = request.promotion, request.promotion.policy
    return RollbackRequest(
        service=policy.service,
        release=release or promotion.running_version or "the release before",
        targets=tuple(
            AliasTarget(
                function=policy.function_name(name, "prod"), alias=policy.alias, version=version
            )
            for name, version in _api_first(policy, request.baseline)
        ),
        requested_by="the watch after the release",
        reason=reason,
        outcome="rolled back after its release",
        undone=(
            Undone(
                sha=promotion.sha,
                version=promotion.version,
                reason=reason,
                table=policy.table_name("prod"),
                number=request.published[policy.api],
            ),
        ),
        policy=policy,
        table=policy.table_name("prod"),
    )


def passed_text(items: tuple[ItemSeen, ...]) -> str:
    """ "9 of 12 items passed"."""
    good = sum(item.verdict in (Verdict.PASSED, Verdict.NOT_APPLICABLE) for item in items)
    return f"{good} of {len(items)} items passed"


_ORDER = {window: number for number, window in enumerate(Window)}


def _by_window(policy: PostDeploy) -> Iterator[tuple[Window, WatchItem]]:
    for window, items in zip(
        Window, (policy.immediate, policy.short_term, policy.long_term), strict=True
    ):
        yield from ((window, item) for item in items)


def _api_first(policy: Policy, versions: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(versions.items(), key=lambda pair: pair[0] != policy.api)

"""The four figures by which DORA describes delivery, from what production's record holds.

https://dora.dev/guides/dora-metrics-four-keys/
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median

from pydantic import Field

from release.deployment import Deployment, DeploymentStatus
from release.message import Message
from release.verdict import Verdict


class Dora(Message):
    """One service in one stretch of time; None where nothing was measured, or is not known."""

    service: str
    since: datetime
    until: datetime
    deployments: int = Field(description="versions that met users, good or bad")
    per_day: float = Field(description="of those that came to serve all traffic")
    lead_time: timedelta | None = Field(None, description="median, from commit to all traffic")
    failed: int = Field(description="of `deployments`, those that went back")
    failure_rate: float | None = Field(None, description="failed / deployments")
    restore_time: timedelta | None = Field(
        None, description="median, from the first bad weight to the old version"
    )
    unknown: tuple[str, ...] = Field((), description="what a figure had to leave out, and why")


def dora(
    service: str,
    deployments: Iterable[Deployment],
    committed: dict[str, datetime],
    since: datetime,
    until: datetime,
) -> Dora:
    """The four, of every version that first met production's users from `since` to before `until`.

    `committed`: commit → when it was made; one that git lacks has no lead time.
    """
    found = [
        one
        for one in deployments
        if one.deployed_at is not None and since <= one.deployed_at < until
    ]
    failed = [one for one in found if _went_back_at(one) is not None]
    served = [one for one in found if _served_at(one) is not None]
    lead = [
        at - committed[one.git_commit]
        for one in served
        if one.git_commit in committed and (at := _served_at(one)) is not None
    ]
    restore = [time for one in failed if (time := _restored_in(one)) is not None]
    return Dora(
        service=service,
        since=since,
        until=until,
        deployments=len(found),
        per_day=len(served) / ((until - since) / timedelta(days=1)),
        lead_time=_median(lead),
        failed=len(failed),
        failure_rate=len(failed) / len(found) if found else None,
        restore_time=_median(restore),
        unknown=_unknown(len(served) - len(lead), len(failed) - len(restore)),
    )


def _median(times: list[timedelta]) -> timedelta | None:
    if not times:
        return None
    return timedelta(seconds=median(time.total_seconds() for time in times))


def _unknown(commits: int, ramps: int) -> tuple[str, ...]:
    texts = []
    if commits:
        texts.append(f"lead time leaves out {commits} whose commit git does not have here")
    if ramps:
        texts.append(f"time to restore leaves out {ramps} whose ramp was not recorded")
    return tuple(texts)


def _served_at(one: Deployment) -> datetime | None:
    """When it first came to serve all traffic."""
    return next((c.at for c in one.changes if c.status is DeploymentStatus.ACTIVE), None)


def _went_back_at(one: Deployment) -> datetime | None:
    """When it first went out of service because it was bad, or was called so."""
    return next((c.at for c in one.changes if c.status is DeploymentStatus.ROLLED_BACK), None)


def _restored_in(one: Deployment) -> timedelta | None:
    """From the first weight that was judged bad to the old version serving all.

    Of one that was judged good at every weight, and went back later, from when it served all.
    """
    back = _went_back_at(one)
    bad = [rung.at for rung in one.ramp if rung.verdict not in (Verdict.PASSED.value, "")]
    begun = bad[0] if bad else _served_at(one) or (one.ramp[-1].at if one.ramp else None)
    if back is None or begun is None or begun > back:
        return None
    return back - begun

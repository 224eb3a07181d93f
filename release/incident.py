"""The values of an incident: what the release system knows, and what was read afterwards."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from release.message import Message
from release.policy import Policy
from release.promotion import AliasState, Counts, InboxRecord, StepRecord

_LOOK_BACK = timedelta(minutes=30)


class Facts(Message):
    """What the release system knows of the incident by itself."""

    service: str
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: str
    promotion: str = Field(description="id of the workflow that went back")
    run: str = Field(description="the end of its run's id")
    address: str = Field("", description="its page in the Temporal UI")
    outcome: str = Field(description="rolled back, aborted, failed; rolled back by hand")
    reason: str
    requested_by: str
    changes: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    staged_at: datetime | None = None
    went_back_at: AwareDatetime = Field(description="when the way back began")
    ended_at: AwareDatetime = Field(description="when the way back was through")
    steps: tuple[StepRecord, ...] = ()
    messages: tuple[InboxRecord, ...] = ()
    api: str = Field(description="full name of the function that users meet")
    alias: str
    expected: dict[str, str] = Field(description="full name → the version that has to serve now")
    bad: dict[str, str] = Field(description="full name → the version that went out of service")
    infrastructure: str = Field("", description="what of the stack a rollback leaves changed")
    quarantines: bool = Field(description="whether the commit is to be kept out")
    bucket: str
    table: str
    period_seconds: int = Field(60, gt=0, description="of the alarms")

    @property
    def since(self) -> datetime:
        """When users first met the bad version; without a shift, from when on to look at it."""
        return self.steps[0].started_at if self.steps else self.went_back_at - _LOOK_BACK

    @property
    def key(self) -> str:
        """Where the packet lies in the bucket, without its ending."""
        return f"{folder(self.service)}{self.sha[:12]}-{self.run}"


class Incident(Message):
    """An incident that no promotion's record tells of."""

    policy: Policy
    facts: Facts


class Period(Message):
    """What both versions answered in one period of the alarms."""

    at: AwareDatetime
    new: Counts = Counts()
    old: Counts = Counts()


class Change(Message):
    """An alarm went from one state to another."""

    at: AwareDatetime
    text: str


class Point(Message):
    """One datapoint of what an alarm compares with its threshold."""

    at: AwareDatetime
    value: float


class AlarmSeen(Message):
    """An alarm of the release, with what it saw."""

    name: str
    text: str = ""
    state: str = Field("", description="now; empty: it is gone, as the canary's is after a release")
    threshold: float | None = None
    changes: tuple[Change, ...] = ()
    points: tuple[Point, ...] = ()

    @property
    def was_red(self) -> bool:
        """Whether it is, or went, into ALARM."""
        return self.state == "ALARM" or any("to ALARM" in change.text for change in self.changes)


class LogSample(Message):
    """Lines of the bad version's log that say the same, shown by their newest."""

    at: AwareDatetime
    function: str
    text: str
    times: int = 1


class Found(Message):
    """What was read when it had gone back; None: it could not be, and `unread` says why."""

    aliases: tuple[AliasState, ...] | None = None
    quarantined: bool | None = None
    periods: tuple[Period, ...] | None = None
    alarms: tuple[AlarmSeen, ...] | None = None
    logs: tuple[LogSample, ...] | None = None
    unread: dict[str, str] = Field({}, description="source → why it could not be read")


class Packet(Message):
    """Everything that the one who looks into it needs first."""

    facts: Facts
    found: Found


class Stored(Message):
    """Where the packet lies, and how it begins."""

    address: str = Field("", description="empty where it could not be stored for good")
    problem: str = ""
    title: str
    head: str = Field(description="its first screen, in Markdown")


def folder(service: str) -> str:
    """Where the packets of a service lie."""
    return f"incidents/{service}/"

"""Allowed windows: the times of a week in which a promotion may begin to move traffic.

"Mon-Thu 08:00-16:00" in a policy, read by its clock on the wall; no window at all allows any time.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from release.message import Message

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(r"(?P<days>\S+) (?P<begins>\d\d:\d\d)-(?P<ends>\d\d:\d\d)")
_DAY = timedelta(days=1)
_EXAMPLE = 'write it as "Mon-Thu 08:00-16:00", "Sat,Sun 10:00-12:00" or "daily 22:00-04:00"'


def _checked_window(text: str) -> str:
    _parsed(text)
    return text


def _checked_zone(name: str) -> str:
    _zone(name)
    return name


class Windows(Message):
    """When a promotion may take the production lane; rollbacks and hotfixes may at any time."""

    allow: tuple[Annotated[str, AfterValidator(_checked_window)], ...] = Field(
        (), max_length=20, description="none: any time"
    )
    timezone: Annotated[str, AfterValidator(_checked_zone)] = "UTC"

    def opens(self, at: datetime) -> datetime:
        """When production may be taken next: `at` itself while a window is open.

        A window's begin belongs to it, its end does not.
        """
        spans = self._around(at)
        if not self.allow or any(begins <= at < ends for begins, ends in spans):
            return at
        return min(begins for begins, _ in spans if begins > at)

    def _around(self, at: datetime) -> list[tuple[datetime, datetime]]:
        """Each window from yesterday, whose night may reach into today, to this day next week."""
        zone = _zone(self.timezone)
        today = at.astimezone(zone).date()
        days = [today + number * _DAY for number in range(-1, 8)]
        return [
            _span(day, begins, length, zone)
            for weekdays, begins, length in map(_parsed, self.allow)
            for day in days
            if day.weekday() in weekdays
        ]


def _span(day: date, begins: time, length: timedelta, zone: tzinfo) -> tuple[datetime, datetime]:
    """Both ends by the clock on the wall, also on the day when that clock is changed."""
    begin = datetime.combine(day, begins)
    end = begin + length
    return begin.replace(tzinfo=zone).astimezone(UTC), end.replace(tzinfo=zone).astimezone(UTC)


def _parsed(text: str) -> tuple[set[int], time, timedelta]:
    """Weekdays, begin and length; an end at or before the begin is the next day's.

    Raises:
        ValueError: it is no window.
    """
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no window; {_EXAMPLE}")
    begins, ends = _minutes(found["begins"], text), _minutes(found["ends"], text)
    if begins == ends or begins == 24 * 60:
        raise ValueError(f"{text!r} is no window: it has no length; {_EXAMPLE}")
    length = (ends - begins) % (24 * 60) or 24 * 60
    return _weekdays(found["days"], text), time(*divmod(begins, 60)), timedelta(minutes=length)


def _minutes(clock: str, text: str) -> int:
    hours, minutes = (int(part) for part in clock.split(":"))
    if minutes > 59 or 60 * hours + minutes > 24 * 60:
        raise ValueError(f"{text!r}: there is no {clock}; {_EXAMPLE}")
    return 60 * hours + minutes


def _weekdays(days: str, text: str) -> set[int]:
    if days == "daily":
        return set(range(7))
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{text!r}: {part!r} is no day of {' '.join(_DAYS)}; {_EXAMPLE}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {number % 7 for number in range(begin, begin + (end - begin) % 7 + 1)}
    return found


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # known also where the machine has no time zones
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone here; write it as Europe/Berlin") from None

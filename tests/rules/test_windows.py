"""Allowed windows: what may be written, and when the next one opens."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from release.windows import Windows

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(day: int, clock: str) -> datetime:
    """So many days after a Monday, at a time in UTC."""
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes))


OFFICE = Windows(allow=("Mon-Thu 08:00-16:00",))


@pytest.mark.parametrize(
    ("windows", "moment", "opens"),
    [
        (Windows(), at(6, "03:00"), at(6, "03:00")),
        (OFFICE, at(0, "07:59"), at(0, "08:00")),
        (OFFICE, at(0, "08:00"), at(0, "08:00")),
        (OFFICE, at(0, "15:59"), at(0, "15:59")),
        (OFFICE, at(0, "16:00"), at(1, "08:00")),
        (OFFICE, at(3, "16:00"), at(7, "08:00")),
        (Windows(allow=("Fri-Mon 10:00-12:00",)), at(3, "13:00"), at(4, "10:00")),
        (Windows(allow=("Sat,Sun 10:00-12:00",)), at(6, "11:00"), at(6, "11:00")),
        (Windows(allow=("daily 22:00-04:00",)), at(2, "03:59"), at(2, "03:59")),
        (Windows(allow=("daily 22:00-04:00",)), at(2, "04:00"), at(2, "22:00")),
        (Windows(allow=("Sun 22:00-04:00",)), at(7, "01:00"), at(7, "01:00")),
        (Windows(allow=("Sun 00:00-24:00",)), at(6, "23:59"), at(6, "23:59")),
        (Windows(allow=("Sun 00:00-24:00",)), at(7, "00:00"), at(13, "00:00")),
        (Windows(allow=("Mon 08:00-09:00", "Tue 08:00-09:00")), at(0, "09:00"), at(1, "08:00")),
    ],
)
def test_window_opens_when_it_says(windows, moment, opens):
    """Begins belong to a window, ends do not; a night's reaches into the next day."""
    assert windows.opens(moment) == opens


def test_clock_on_the_wall_counts_where_the_zone_says():
    """08:00 in Berlin is 07:00 UTC in winter and 06:00 in summer."""
    berlin = Windows(allow=("daily 08:00-09:00",), timezone="Europe/Berlin")

    assert berlin.opens(datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(
        2026, 3, 29, 6, tzinfo=UTC
    )
    assert berlin.opens(datetime(2026, 1, 5, 6, 59, tzinfo=UTC)) == datetime(
        2026, 1, 5, 7, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"allow": ["Mon-Thu 8:00-16:00"]}, "'Mon-Thu 8:00-16:00' is no window"),
        ({"allow": ["Mo-Th 08:00-16:00"]}, "'Mo-Th' is no day of Mon Tue"),
        ({"allow": ["Mon 08:00-24:01"]}, "there is no 24:01"),
        ({"allow": ["Mon 08:70-09:00"]}, "there is no 08:70"),
        ({"allow": ["Mon 08:00-08:00"]}, "it has no length"),
        ({"allow": ["Mon 24:00-02:00"]}, "it has no length"),
        ({"timezone": "Berlin"}, "'Berlin' is no time zone here"),
        ({"timezone": "../etc/passwd"}, "is no time zone here"),
        ({"timezone": ""}, "is no time zone here"),
    ],
)
def test_slip_in_a_window_is_said_with_an_example(given, said):
    """What cannot be read is refused in words, before anything starts."""
    with pytest.raises(ValidationError) as refused:
        Windows.model_validate(given)

    assert said in str(refused.value)


DAYS = st.sampled_from(["daily", "Mon", "Sat,Sun", "Mon-Fri", "Fri-Mon", "Thu-Tue,Wed"])
CLOCKS = st.times().map(lambda time: f"{time:%H:%M}")
WINDOWS = (
    st.tuples(DAYS, CLOCKS, CLOCKS)
    .filter(lambda found: found[1] != found[2])
    .map(lambda found: f"{found[0]} {found[1]}-{found[2]}")
)


@given(
    st.lists(WINDOWS, min_size=1, max_size=4),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_window_always_opens_within_eight_days(allow, zone, moment):
    """There is a next opening, not before now and not far; and then it is open."""
    windows = Windows(allow=tuple(allow), timezone=zone)

    opens = windows.opens(moment)

    assert moment <= opens <= moment + timedelta(days=8)
    assert windows.opens(opens) == opens

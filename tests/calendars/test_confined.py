"""A calendar that asks for too much ends its reader, not the worker; and nothing of it is left behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from booking_tasks.calendars import confined, reading
from booking_tasks.calendars.confined import Limits, NotReadError
from tests.calendars.files import MEETING, OUTLOOK_ZONE, calendar, event
from tests.calendars.test_reading import MARCH, SESSION

SHORT = Limits(cpu=1, wall=10.0)

_SECONDLY_ZONE = """\
BEGIN:VTIMEZONE
TZID:Ticking
BEGIN:STANDARD
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY;INTERVAL=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
END:DAYLIGHT
END:VTIMEZONE"""


def test_it_says_what_reading_in_this_process_says() -> None:
    own = event("DTSTART:20270305T090000Z", "DURATION:PT1H", uid=f"{SESSION}@booking.example.org")
    content = calendar(MEETING, own, event("DTSTART:garbage", uid="bad"))
    tilted = replace(MARCH, start=MARCH.start + timedelta(microseconds=1))

    for stretch in (MARCH, tilted):
        assert confined.busy(content, stretch) == reading.busy(content, stretch)


@pytest.mark.parametrize(
    "content",
    [
        calendar(event("DTSTART:19700101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;INTERVAL=2")),
        calendar(event("DTSTART:20270302T090000Z", "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30")),
        calendar(_SECONDLY_ZONE, event("DTSTART;TZID=Ticking:20270302T090000", "DURATION:PT1H")),
    ],
    ids=["every second since 1970", "never, but every second", "a zone that changes every second"],
)
def test_a_calendar_that_recurs_without_end_is_given_up(content: bytes) -> None:
    with pytest.raises(NotReadError, match="too much time or memory"):
        confined.busy(content, MARCH, SHORT)


def test_a_reader_that_hangs_is_ended_by_the_wall_clock() -> None:
    with pytest.raises(NotReadError, match="too much time or memory"):
        confined.busy(calendar(MEETING), MARCH, Limits(wall=0.01))


def test_what_is_no_calendar_is_said_to_be_none() -> None:
    with pytest.raises(NotReadError, match="does not begin as a calendar does"):
        confined.busy(b"<html>", MARCH)


def test_what_one_file_calls_a_zone_is_unknown_to_the_next() -> None:
    meeting = event("DTSTART;TZID=Customized Time Zone:20270302T040000", "DURATION:PT1H")

    assert len(confined.busy(calendar(OUTLOOK_ZONE, meeting), MARCH).pieces) == 1
    assert confined.busy(calendar(meeting), MARCH).unreadable == 1

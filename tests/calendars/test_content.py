"""Zones that a file describes, charsets, line ends, and the limits of a file."""

from __future__ import annotations

import pytest

from booking_tasks.calendars import content as lines
from booking_tasks.calendars.reading import UnreadableError, busy_time, parse_calendars
from booking_tasks.calendars.rules import BusyTime
from tests.calendars.files import MEETING, OUTLOOK_ZONE, calendar, event
from tests.calendars.test_reading import BLOCKED, MARCH, ONE_HOUR, found

NEXT = ["03 09:00 - 03 10:00"]


def read(*parts: str) -> BusyTime:
    return busy_time(calendar(*parts), MARCH)


# -- zones of the file -------------------------------------------------------------------------------------


def test_a_zone_that_the_file_describes_after_its_use_is_known() -> None:
    meeting = event("DTSTART;TZID=Customized Time Zone:20270302T040000", "DURATION:PT1H")
    named = OUTLOOK_ZONE.replace("Customized Time Zone", "tzone://Microsoft/Custom")
    other = event("DTSTART;TZID=tzone://Microsoft/Custom:20270303T040000", "DURATION:PT1H", uid="b")

    assert found(calendar(meeting, OUTLOOK_ZONE)) == BLOCKED
    assert found(calendar(other, named)) == NEXT


def test_a_zone_that_the_file_describes_badly_is_an_unknown_one() -> None:
    broken = OUTLOOK_ZONE.replace("TZOFFSETTO:-0500", "TZOFFSETTO:west")
    meeting = event("DTSTART;TZID=Customized Time Zone:20270302T100000", "DURATION:PT1H")

    assert found(calendar(broken, meeting)) == BLOCKED
    assert read(broken, meeting).unreadable == 1


# -- the bytes -----------------------------------------------------------------------------------------------


def test_bytes_are_read_in_the_charset_that_they_have() -> None:
    text = calendar(MEETING).decode().replace("Dentist", "Zähne")

    for label in ("iso-8859-1", "windows-1252", "UTF-16", "utf-16-le"):
        encoded = text.encode(label)
        assert busy_time(encoded, MARCH, label).intervals == busy_time(calendar(MEETING), MARCH).intervals
    assert busy_time(text.encode("utf-16"), MARCH).intervals  # its byte order mark says so
    for label in ("us-ascii", "no-such-charset", "zlib", '"utf-8"'):
        assert busy_time(text.encode(), MARCH, label).intervals
    with pytest.raises(UnreadableError, match="UTF-8"):
        busy_time(text.encode("latin-1"), MARCH, "utf-8")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\r\r\n"])
def test_lines_end_as_they_please_and_fold_within_a_character(end: str) -> None:
    content = calendar(event("SUMMARY:Zähne und mehr", *ONE_HOUR)).replace("ä".encode(), b"\xc3\r\n \xa4")
    folded = content.replace(b"DTEND:2027", b"DTE\r\n\tND:20\r\n 27").replace(b"\r\n", end.encode())

    assert found(folded) == BLOCKED


def test_what_follows_the_calendar_is_ignored_and_another_cut_off_one_is_not() -> None:
    whole = calendar(MEETING)

    assert found(whole + b"<!-- served by example -->\r\nBEGIN:VEVENT\r\n") == BLOCKED
    assert found(whole + b"\r\n\r\n" + whole) == BLOCKED
    with pytest.raises(UnreadableError, match="cut off"):
        busy_time(whole + whole[:-20], MARCH)


def test_only_entries_count_against_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = "BEGIN:VALARM\nTRIGGER:-PT5M\nEND:VALARM"
    parts = [event(*ONE_HOUR, alarm, alarm, uid=str(number)) for number in range(3)]

    assert len(lines.blocks_of(lines.calendar_lines(calendar(*parts)), 3)) == 1
    with pytest.raises(UnreadableError, match="more than 2 entries"):
        lines.blocks_of(lines.calendar_lines(calendar(*parts)), 2)
    with pytest.raises(UnreadableError, match="more than 9 entries"):
        parse_calendars(calendar(*parts), 9)  # a reply is limited with all that is in it

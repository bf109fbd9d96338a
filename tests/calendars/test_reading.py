"""What is busy and what is free, one row for each thing that other importers get wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from booking_tasks.calendars import reading
from booking_tasks.calendars.reading import MOST_ENTRIES, UnreadableError, busy_time
from booking_tasks.calendars.rules import BusyInterval, ReadOptions
from tests.calendars.files import MEETING, OUTLOOK_ZONE, calendar, event

MARCH = ReadOptions(
    start=datetime(2027, 3, 1, tzinfo=UTC),
    end=datetime(2027, 4, 1, tzinfo=UTC),
    zone="Europe/Vienna",
    uid_domain="booking.example.org",
    addresses=("okafor@example.org",),
)
SESSION = "0190a1b2-0000-7000-8000-00000000abcd"


def found(content: bytes, reading: ReadOptions = MARCH) -> list[str]:
    """The pieces as `day hour:minute - day hour:minute` in UTC."""
    return [f"{one.start:%d %H:%M} - {one.end:%d %H:%M}" for one in busy_time(content, reading).intervals]


ONE_HOUR = ("DTSTART:20270302T090000Z", "DTEND:20270302T100000Z")
BLOCKED = ["02 09:00 - 02 10:00"]
MINE = "ATTENDEE;CN=Okafor;PARTSTAT={}:MAILTO:Okafor@example.org"
THEIRS = "ATTENDEE;PARTSTAT=DECLINED:mailto:somebody@example.org"
VIENNA = "DTSTART;TZID=Europe/Vienna:2027{}\nDTEND;TZID=Europe/Vienna:2027{}"
WEEKLY = VIENNA.format("0302T100000", "0302T110000") + "\nRRULE:FREQ=WEEKLY;COUNT=4"


def _exception(at: str, *lines: str) -> str:
    return event(f"RECURRENCE-ID;TZID=Europe/Vienna:2027{at}", *lines)


#: What it is -> (the calendar's parts, the pieces).
CASES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    # what blocks and what does not
    "an event": ((event(*ONE_HOUR),), BLOCKED),
    "opaque": ((event(*ONE_HOUR, "TRANSP:OPAQUE"),), BLOCKED),
    "transparent": ((event(*ONE_HOUR, "TRANSP:TRANSPARENT"),), []),
    "Outlook: free": ((event(*ONE_HOUR, "X-MICROSOFT-CDO-BUSYSTATUS:FREE"),), []),
    "Outlook: away": ((event(*ONE_HOUR, "X-MICROSOFT-CDO-BUSYSTATUS:OOF"),), BLOCKED),
    "cancelled": ((event(*ONE_HOUR, "STATUS:CANCELLED"),), []),
    "confirmed": ((event(*ONE_HOUR, "STATUS:CONFIRMED"),), BLOCKED),
    "tentative": ((event(*ONE_HOUR, "STATUS:TENTATIVE"),), BLOCKED),
    "declined by its owner": ((event(*ONE_HOUR, MINE.format("DECLINED"), THEIRS),), []),
    "declined by its owner, whom only a parameter names": (
        (event(*ONE_HOUR, "ATTENDEE;EMAIL=okafor@example.org;PARTSTAT=DECLINED:urn:uuid:1"),),
        [],
    ),
    "declined by somebody else": ((event(*ONE_HOUR, THEIRS, MINE.format("ACCEPTED")),), BLOCKED),
    "not answered": ((event(*ONE_HOUR, MINE.format("NEEDS-ACTION")),), BLOCKED),
    "an entry without an end": ((event("DTSTART:20270302T090000Z"),), []),
    "a duration": ((event("DTSTART:20270302T090000Z", "DURATION:PT1H"),), BLOCKED),
    "a task and a note": (("BEGIN:VTODO\nUID:t\nDUE:20270302T090000Z\nEND:VTODO",), []),
    # whole days and local times
    "a whole day": (
        (event("DTSTART;VALUE=DATE:20270302", "DTEND;VALUE=DATE:20270303"),),
        ["01 23:00 - 02 23:00"],
    ),
    "a whole day without an end": ((event("DTSTART;VALUE=DATE:20270302"),), ["01 23:00 - 02 23:00"]),
    "a whole day, free": ((event("DTSTART;VALUE=DATE:20270302", "TRANSP:TRANSPARENT"),), []),
    "a whole short day": ((event("DTSTART;VALUE=DATE:20270328"),), ["27 23:00 - 28 22:00"]),
    "a floating time is local": (
        (event("DTSTART:20270302T090000", "DTEND:20270302T100000"),),
        ["02 08:00 - 02 09:00"],
    ),
    "a floating time in the gap": (
        (event("DTSTART:20270328T023000", "DTEND:20270328T033000"),),
        ["28 01:00 - 28 01:30"],
    ),
    # zones
    "a zone by its IANA name": (
        (event(VIENNA.format("0302T100000", "0302T110000")),),
        BLOCKED,
    ),
    "a zone by its Windows name": (
        (event("DTSTART;TZID=W. Europe Standard Time:20270302T100000", "DURATION:PT1H"),),
        BLOCKED,
    ),
    "a zone that the file describes": (
        (OUTLOOK_ZONE, event("DTSTART;TZID=Customized Time Zone:20270302T040000", "DURATION:PT1H")),
        BLOCKED,
    ),
    "a zone behind a maker's prefix": (
        (event("DTSTART;TZID=/mozilla.org/20050126_1/Europe/Vienna:20270302T100000", "DURATION:PT1H"),),
        BLOCKED,
    ),
    # recurrence
    "every week, over the change of clocks": (
        (event(VIENNA.format("0325T100000", "0325T110000"), "RRULE:FREQ=DAILY;COUNT=5"),),
        [
            "25 09:00 - 25 10:00",
            "26 09:00 - 26 10:00",
            "27 09:00 - 27 10:00",
            "28 08:00 - 28 09:00",
            "29 08:00 - 29 09:00",
        ],
    ),
    "since years": (
        (event("DTSTART:20100105T090000Z", "DTEND:20100105T100000Z", "RRULE:FREQ=WEEKLY"),),
        [
            *BLOCKED,
            "09 09:00 - 09 10:00",
            "16 09:00 - 16 10:00",
            "23 09:00 - 23 10:00",
            "30 09:00 - 30 10:00",
        ],
    ),
    "until, inclusive": (
        (event(*ONE_HOUR, "RRULE:FREQ=DAILY;UNTIL=20270303T090000Z"),),
        [*BLOCKED, "03 09:00 - 03 10:00"],
    ),
    "an excluded date does not lengthen the count": (
        (event(*ONE_HOUR, "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20270303T090000Z"),),
        [*BLOCKED, "04 09:00 - 04 10:00"],
    ),
    "an extra date": ((event(*ONE_HOUR, "RDATE:20270305T120000Z"),), [*BLOCKED, "05 12:00 - 05 13:00"]),
    "an extra period": (
        (event(*ONE_HOUR, "RDATE;VALUE=PERIOD:20270305T120000Z/PT2H"),),
        [*BLOCKED, "05 12:00 - 05 14:00"],
    ),
    "one moved": (
        (event(WEEKLY), _exception("0309T100000", VIENNA.format("0310T150000", "0310T160000"))),
        [*BLOCKED, "10 14:00 - 10 15:00", "16 09:00 - 16 10:00", "23 09:00 - 23 10:00"],
    ),
    "one cancelled": (
        (
            event(WEEKLY),
            _exception("0309T100000", VIENNA.format("0309T100000", "0309T110000"), "STATUS:CANCELLED"),
        ),
        [*BLOCKED, "16 09:00 - 16 10:00", "23 09:00 - 23 10:00"],
    ),
    "one declined": (
        (
            event(WEEKLY),
            _exception("0309T100000", VIENNA.format("0309T100000", "0309T110000"), MINE.format("DECLINED")),
        ),
        [*BLOCKED, "16 09:00 - 16 10:00", "23 09:00 - 23 10:00"],
    ),
    "one made free": (
        (
            event(WEEKLY),
            _exception("0309T100000", VIENNA.format("0309T100000", "0309T110000"), "TRANSP:TRANSPARENT"),
        ),
        [*BLOCKED, "16 09:00 - 16 10:00", "23 09:00 - 23 10:00"],
    ),
    "this and all later ones moved": (
        (
            event(WEEKLY),
            event(
                "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Vienna:20270316T100000",
                VIENNA.format("0316T120000", "0316T130000"),
            ),
        ),
        [*BLOCKED, "09 09:00 - 09 10:00", "16 11:00 - 16 12:00", "23 11:00 - 23 12:00"],
    ),
    "one moved in from outside": (
        (
            event("DTSTART:20270501T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"),
            event("RECURRENCE-ID:20270502T090000Z", *ONE_HOUR),
        ),
        BLOCKED,
    ),
    "an exception whose series is not in the file": (
        (event("RECURRENCE-ID:20270302T080000Z", *ONE_HOUR),),
        BLOCKED,
    ),
    "whole days every week": (
        (event("DTSTART;VALUE=DATE:20270302", "RRULE:FREQ=WEEKLY;COUNT=2"),),
        ["01 23:00 - 02 23:00", "08 23:00 - 09 23:00"],
    ),
    # together
    "the later of two versions": (
        (event(*ONE_HOUR, "SEQUENCE:2"), event("DTSTART:20270303T090000Z", "DURATION:PT1H", "SEQUENCE:1")),
        BLOCKED,
    ),
    "two without a UID": (
        tuple(
            event(*ONE_HOUR).replace("UID:one@elsewhere.example\n", "").replace("0302", day)
            for day in ("0302", "0303")
        ),
        [*BLOCKED, "03 09:00 - 03 10:00"],
    ),
    "what touches or overlaps is one": (
        (
            event(*ONE_HOUR, uid="a"),
            event("DTSTART:20270302T100000Z", "DURATION:PT30M", uid="b"),
            event("DTSTART:20270302T091500Z", "DURATION:PT5M", uid="c"),
        ),
        ["02 09:00 - 02 10:30"],
    ),
    "what reaches into the stretch is cut at its ends": (
        (
            event("DTSTART:20270226T000000Z", "DTEND:20270301T020000Z", uid="a"),
            event("DTSTART:20270331T230000Z", "DTEND:20270402T000000Z", uid="b"),
            event("DTSTART:20270401T000000Z", "DTEND:20270402T000000Z", uid="c"),
        ),
        ["01 00:00 - 01 02:00", "31 23:00 - 01 00:00"],
    ),
    "free and busy periods": (
        (
            "BEGIN:VFREEBUSY\nFREEBUSY:20270302T090000Z/PT1H,20270303T090000Z/20270303T100000Z\n"
            "FREEBUSY;FBTYPE=FREE:20270304T090000Z/PT1H\nFREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20270305T090000Z/PT1H"
            "\nEND:VFREEBUSY",
        ),
        [*BLOCKED, "03 09:00 - 03 10:00", "05 09:00 - 05 10:00"],
    ),
    "nothing": ((), []),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_busy_then_and_only_then(name: str) -> None:
    parts, pieces = CASES[name]

    assert found(calendar(*parts)) == pieces


@pytest.mark.parametrize(
    "part",
    [
        event(*ONE_HOUR, "STATUS:TENTATIVE"),
        event(*ONE_HOUR, "X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"),
        event(*ONE_HOUR, MINE.format("TENTATIVE")),
        event(*ONE_HOUR, MINE.format("NEEDS-ACTION")),
        "BEGIN:VFREEBUSY\nFREEBUSY;FBTYPE=BUSY-TENTATIVE:20270302T090000Z/PT1H\nEND:VFREEBUSY",
    ],
)
def test_what_is_tentative_is_busy_or_free_by_choice(part: str) -> None:
    assert found(calendar(part)) == BLOCKED
    assert found(calendar(part), replace(MARCH, tentative_busy=False)) == []


def test_whole_days_marked_free_are_busy_by_choice_and_hours_are_not() -> None:
    day = event("DTSTART;VALUE=DATE:20270302", "TRANSP:TRANSPARENT", uid="day")
    hour = event("DTSTART:20270304T090000Z", "DURATION:PT1H", "TRANSP:TRANSPARENT", uid="hour")

    assert found(calendar(day, hour), replace(MARCH, all_day_busy=True)) == ["01 23:00 - 02 23:00"]


def test_a_consultation_of_this_service_is_named_and_not_busy_time() -> None:
    content = calendar(event(*ONE_HOUR, uid=f"{SESSION}@Booking.Example.org"), event(*ONE_HOUR, uid=SESSION))
    read = busy_time(content, MARCH)
    piece = BusyInterval(datetime(2027, 3, 2, 9, tzinfo=UTC), datetime(2027, 3, 2, 10, tzinfo=UTC))

    assert read.own_sessions == ((UUID(SESSION), piece),)
    assert read.intervals == (piece,)  # the same id without our domain is somebody else's


@pytest.mark.parametrize(
    "lines",
    [
        ("DTSTART:garbage",),
        ("SUMMARY:no time at all",),
        ("DTSTART:20270302T090000Z", "DTEND:20270302T080000Z"),
        ("DTSTART;TZID=Nowhere/Atlantis:20270302T090000", "DURATION:PT1H"),
        (*ONE_HOUR, "RRULE:FREQ=NEVER"),
        (*ONE_HOUR, "RRULE:FREQ=DAILY;UNTIL=soon"),
        ("DTSTART:20270302T090000Z", "DURATION:PT1H", "SEQUENCE:many", "RRULE:FREQ=DAILY;BYMONTH=13"),
    ],
)
def test_an_entry_nobody_can_read_is_counted_and_the_others_are_read(lines: tuple[str, ...]) -> None:
    read = busy_time(calendar(event(*lines, uid="bad"), MEETING), MARCH)

    assert read.unreadable == 1
    assert len(read.intervals) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Please log in</html>",
        calendar(MEETING)[:-20],
        calendar(MEETING)[: len(calendar(MEETING)) // 2],
        calendar(MEETING).decode().replace("Dentist", "Zähne").encode("latin-1"),
        calendar("BEGIN:VEVENT", "BEGIN:VEVENT"),
        calendar(*["BEGIN:VTODO\nEND:VTODO"] * (MOST_ENTRIES + 1)),
    ],
    ids=["nothing", "a page", "cut off", "cut in half", "latin-1", "not closed", "entries"],
)
def test_what_is_no_whole_calendar_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableError) as refused:
        busy_time(content, MARCH)

    assert "Secret" not in str(refused.value)


def test_a_calendar_of_too_many_occurrences_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_OCCURRENCES", 300)
    most = calendar(event(*ONE_HOUR, "RRULE:FREQ=MINUTELY;COUNT=300"))
    more = calendar(event(*ONE_HOUR, "RRULE:FREQ=MINUTELY;COUNT=301"))

    assert busy_time(most, MARCH)
    with pytest.raises(UnreadableError, match="more than 300 occurrences"):
        busy_time(more, MARCH)


def test_a_byte_order_mark_and_bare_line_ends_are_forgiven() -> None:
    assert found(b"\xef\xbb\xbf" + calendar(MEETING).replace(b"\r\n", b"\n")) == BLOCKED

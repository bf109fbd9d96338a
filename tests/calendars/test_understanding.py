"""Versions of one entry, unusual ways to write a time, and what is counted: nothing is free by mistake."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from booking_tasks.calendars.reading import busy_time
from booking_tasks.calendars.rules import BusyTime
from tests.calendars.files import MEETING, calendar, event
from tests.calendars.test_reading import BLOCKED, MARCH, ONE_HOUR, VIENNA, WEEKLY, found

NEXT = ["03 09:00 - 03 10:00"]
TRAVEL = replace(MARCH, travel=((date(2027, 3, 2), date(2027, 3, 9), "America/New_York"),))


def entry(day: str, *more: str, stamp: str | None = "20270201T000000Z") -> str:
    """An hour from nine (UTC) on a day of March, all of one UID."""
    stamped = [] if stamp is None else [f"DTSTAMP:{stamp}"]
    times = f"DTSTART:202703{day}T090000Z\nDTEND:202703{day}T100000Z"
    return "\n".join(["BEGIN:VEVENT", "UID:one", *stamped, times, *more, "END:VEVENT"])


def read(*parts: str) -> BusyTime:
    return busy_time(calendar(*parts), MARCH)


# -- versions ------------------------------------------------------------------------------------------

#: The latest version first; the other takes no time, in whatever order they stand in the file.
VERSIONS = {
    "sequence": (entry("02", "SEQUENCE:2"), entry("03", "SEQUENCE:1", stamp="20270209T000000Z")),
    "sequence of two digits": (entry("02", "SEQUENCE:10"), entry("03", "SEQUENCE:9")),
    "stamp": (entry("02", stamp="20270202T000000Z"), entry("03", stamp="20270201T235959Z")),
    "a stamp and none": (entry("02"), entry("03", stamp=None)),
    "modified": (
        entry("02", "LAST-MODIFIED:20270105T000000Z"),
        entry("03", "LAST-MODIFIED:20270104T000000Z"),
    ),
    "stamp before modified": (
        entry("02", stamp="20270202T000000Z"),
        entry("03", "LAST-MODIFIED:20270301T000000Z"),
    ),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_the_latest_version_counts_wherever_it_stands(name: str) -> None:
    latest, older = VERSIONS[name]

    for parts in ((latest, older), (older, latest)):
        assert found(calendar(*parts)) == BLOCKED
        assert (read(*parts).superseded, read(*parts).ambiguous) == (1, 0)


@pytest.mark.parametrize(
    "more", [(), ("SEQUENCE:0",), ("SEQUENCE:one",), ("SEQUENCE:3", "LAST-MODIFIED:20270104T000000Z")]
)
@pytest.mark.parametrize("stamp", ["20270201T000000Z", None])
def test_entries_of_one_version_are_different_entries(more: tuple[str, ...], stamp: str | None) -> None:
    parts = (entry("02", *more, stamp=stamp), entry("03", *more, stamp=stamp))

    assert found(calendar(*parts)) == BLOCKED + NEXT
    assert (read(*parts).superseded, read(*parts).ambiguous) == (0, 2)


def test_series_of_one_version_are_different_series_and_no_exception_takes_out_of_either() -> None:
    series = [entry(day, "RRULE:FREQ=DAILY;COUNT=2") for day in ("02", "12")]
    moved = event("RECURRENCE-ID:20270303T090000Z", "DTSTART:20270320T090000Z", "DURATION:PT1H", uid="one")

    assert found(calendar(*series, moved)) == [
        *BLOCKED,
        *NEXT,
        "12 09:00 - 12 10:00",
        "13 09:00 - 13 10:00",
        "20 09:00 - 20 10:00",
    ]
    assert read(*series, moved).ambiguous == 2


def test_of_a_series_the_latest_version_counts() -> None:
    older = entry("12", "RRULE:FREQ=DAILY;COUNT=2", "SEQUENCE:1")

    assert found(calendar(entry("02", "SEQUENCE:2", "RRULE:FREQ=DAILY;COUNT=2"), older)) == BLOCKED + NEXT
    assert found(calendar(older, entry("02", "SEQUENCE:2"))) == BLOCKED


def test_a_cancelled_version_supersedes_even_without_its_time() -> None:
    cancelled = "BEGIN:VEVENT\nUID:one\nSEQUENCE:1\nSTATUS:CANCELLED\nEND:VEVENT"

    assert found(calendar(entry("02"), cancelled)) == []
    assert read(entry("02"), cancelled) == BusyTime(superseded=1)


def test_a_version_that_nobody_understands_supersedes_nothing() -> None:
    broken = event("DTSTART:soon", "SEQUENCE:9", uid="one")

    assert found(calendar(entry("02"), broken)) == BLOCKED
    assert read(entry("02"), broken).missing_time == 1


def _changed(to: str, *more: str, stamp: str = "20270201T000000Z") -> str:
    return "\n".join(
        [
            "BEGIN:VEVENT\nUID:one@elsewhere.example",
            f"DTSTAMP:{stamp}\nRECURRENCE-ID;TZID=Europe/Vienna:20270309T100000",
            f"DTSTART:202703{to}T140000Z\nDURATION:PT1H",
            *more,
            "END:VEVENT",
        ]
    )


REST = ["16 09:00 - 16 10:00", "23 09:00 - 23 10:00"]


def test_versions_of_an_exception_are_compared_alike() -> None:
    for earlier, later in (
        (_changed("10"), _changed("11", stamp="20270202T000000Z")),
        (_changed("10", "SEQUENCE:1", stamp="20270202T000000Z"), _changed("11", "SEQUENCE:2")),
        (_changed("10"), _changed("11", "LAST-MODIFIED:20270202T000000Z")),
    ):
        for parts in ((earlier, later), (later, earlier)):
            assert found(calendar(event(WEEKLY), *parts)) == [*BLOCKED, "11 14:00 - 11 15:00", *REST]
            assert read(event(WEEKLY), *parts).superseded == 1
    equal = (event(WEEKLY), _changed("10"), _changed("11"))
    assert found(calendar(*equal)) == [*BLOCKED, "10 14:00 - 10 15:00", "11 14:00 - 11 15:00", *REST]
    assert read(*equal).ambiguous == 2


def test_an_exception_written_in_another_zone_replaces_the_same_occurrence() -> None:
    for named in ("RECURRENCE-ID:20270309T090000Z", "RECURRENCE-ID;VALUE=DATE:20270309"):
        moved = event(named, "DTSTART:20270310T140000Z", "DURATION:PT1H")
        assert found(calendar(event(WEEKLY), moved)) == [*BLOCKED, "10 14:00 - 10 15:00", *REST]


def test_an_entry_for_an_excluded_occurrence_takes_its_own_time() -> None:
    series = event(WEEKLY, "EXDATE;TZID=Europe/Vienna:20270309T100000")

    assert found(calendar(series, _changed("10"))) == [*BLOCKED, "10 14:00 - 10 15:00", *REST]


# -- where the owner is --------------------------------------------------------------------------------

FLOATING = "DTSTART:20270302T090000\nDTEND:20270302T100000"


@pytest.mark.parametrize("declared", [(), ("X-WR-TIMEZONE:Asia/Tokyo",)])
@pytest.mark.parametrize("rule", [(), ("RRULE:FREQ=DAILY;COUNT=1",), ("RDATE:20270302T090000",)])
def test_a_time_without_a_zone_is_where_the_owner_is(
    declared: tuple[str, ...], rule: tuple[str, ...]
) -> None:
    content = calendar(*declared, event(FLOATING, *rule))

    assert found(content) == ["02 08:00 - 02 09:00"]
    assert found(content, TRAVEL) == ["02 14:00 - 02 15:00"]


def test_a_floating_series_and_a_whole_day_follow_the_owner_there_and_back() -> None:
    series = event(FLOATING.replace("0302", "0301"), "RRULE:FREQ=WEEKLY;COUNT=3", uid="a")
    assert found(calendar(series), TRAVEL) == [
        "01 08:00 - 01 09:00",
        "08 14:00 - 08 15:00",
        "15 08:00 - 15 09:00",
    ]
    day = event("DTSTART;VALUE=DATE:20270309", "DTEND;VALUE=DATE:20270310")
    assert found(calendar(day), TRAVEL) == ["09 05:00 - 10 05:00"]
    assert found(calendar(day), MARCH) == ["08 23:00 - 09 23:00"]


def test_a_series_in_utc_stays_in_utc() -> None:
    daily = event("DTSTART:20270327T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3")

    assert found(calendar("X-WR-TIMEZONE:Europe/Vienna", daily)) == [
        f"{day} 09:00 - {day} 10:00" for day in (27, 28, 29)
    ]


# -- what can be understood ------------------------------------------------------------------------------

DAY = ["01 23:00 - 02 23:00"]
ALL_DAY = "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE"

UNUSUAL: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "a whole day that ends when it begins": (
        ("DTSTART;VALUE=DATE:20270302", "DTEND;VALUE=DATE:20270302"),
        DAY,
    ),
    "whole days of no length": (("DTSTART;VALUE=DATE:20270302", "DURATION:P0D"), DAY),
    "a part of a day": (("DTSTART;VALUE=DATE:20270302", "DURATION:PT12H"), DAY),
    "a date without its type": (("DTSTART:20270302", "DTEND:20270303"), DAY),
    "Outlook's whole day of no length": (
        ("DTSTART;TZID=Europe/Vienna:20270302T000000", "DTEND;TZID=Europe/Vienna:20270302T000000", ALL_DAY),
        DAY,
    ),
    "Outlook's whole day": (("DTSTART:20270302T000000", "DTEND:20270303T000000", ALL_DAY), DAY),
    "Outlook's whole day without an end": (("DTSTART:20270302T000000", ALL_DAY), DAY),
    "Outlook's whole day in UTC is that of its date, and its hours": (
        ("DTSTART:20270302T000000Z", "DTEND:20270303T000000Z", ALL_DAY),
        ["01 23:00 - 03 00:00"],
    ),
    "from inside the skipped hour": (
        (VIENNA.format("0328T023000", "0328T033000"),),
        ["28 01:00 - 28 01:30"],
    ),
    "wholly inside the skipped hour": (
        (VIENNA.format("0328T021500", "0328T024500"),),
        ["28 01:00 - 28 01:45"],
    ),
    "from inside the skipped hour to its end": (
        (VIENNA.format("0328T023000", "0328T030000"),),
        ["28 01:00 - 28 02:00"],
    ),
    "a length from inside the skipped hour": (
        ("DTSTART;TZID=Europe/Vienna:20270328T023000", "DURATION:PT1H"),
        ["28 01:00 - 28 02:30"],
    ),
    "three exact hours over the change": (
        ("DTSTART;TZID=Europe/Vienna:20270328T010000", "DURATION:PT3H"),
        ["28 00:00 - 28 03:00"],
    ),
    "three exact hours over the change, repeated": (
        ("DTSTART;TZID=Europe/Vienna:20270327T010000", "DURATION:PT3H", "RRULE:FREQ=DAILY;COUNT=2"),
        ["27 00:00 - 27 03:00", "28 00:00 - 28 03:00"],
    ),
    "a day on the calendar over the change": (
        ("DTSTART;TZID=Europe/Vienna:20270327T120000", "DURATION:P1D"),
        ["27 11:00 - 28 10:00"],
    ),
    "whole days over the change": (
        ("DTSTART;VALUE=DATE:20270326", "DTEND;VALUE=DATE:20270327", "RRULE:FREQ=DAILY;COUNT=3"),
        ["25 23:00 - 28 22:00"],
    ),
    "the later of an end and a length": (
        ("DTSTART:20270302T090000Z", "DTEND:20270302T093000Z", "DURATION:PT1H"),
        BLOCKED,
    ),
    "a sequence in letters": ((*ONE_HOUR, "SEQUENCE:one"), BLOCKED),
    "Microsoft's UTC": (
        ("DTSTART;TZID=tzone://Microsoft/Utc:20270302T090000", "DURATION:PT1H"),
        BLOCKED,
    ),
    "Microsoft's UTC in quotes": (
        ('DTSTART;TZID="tzone://Microsoft/Utc":20270302T090000', "DURATION:PT1H"),
        BLOCKED,
    ),
    "UTC although a zone is named": (
        ("DTSTART;TZID=Europe/Vienna:20270302T090000Z", "DTEND;TZID=Europe/Vienna:20270302T100000Z"),
        BLOCKED,
    ),
    "an end in another zone": (
        ("DTSTART;TZID=Europe/Vienna:20270302T100000", "DTEND;TZID=Europe/London:20270302T100000"),
        BLOCKED,
    ),
    "an end without the zone": (
        ("DTSTART;TZID=Europe/Vienna:20270302T100000", "DTEND:20270302T110000"),
        BLOCKED,
    ),
    "an end that is a date": (
        ("DTSTART:20270302T090000Z", "DTEND;VALUE=DATE:20270302"),
        ["02 09:00 - 03 00:00"],
    ),
    "a zone by its offset": (("DTSTART;TZID=GMT+0100:20270302T100000", "DURATION:PT1H"), BLOCKED),
    "an offset": (("DTSTART:20270302T100000+0100", "DURATION:PT1H"), BLOCKED),
    "a zone in small letters": (("DTSTART;TZID=europe/vienna:20270302T100000", "DURATION:PT1H"), BLOCKED),
    "a time in the extended form": (("DTSTART:2027-03-02T09:00:00Z", "DTEND:2027-03-02T10:00Z"), BLOCKED),
    "a period": (("DTSTART;VALUE=PERIOD:20270302T090000Z/PT1H",), BLOCKED),
    "extra periods": (
        (*ONE_HOUR, "RDATE;VALUE=PERIOD:20270303T090000Z/20270303T100000Z,20270304T090000Z/PT2H"),
        [*BLOCKED, *NEXT, "04 09:00 - 04 11:00"],
    ),
    "an extra date of a timed series": ((*ONE_HOUR, "RDATE;VALUE=DATE:20270303"), BLOCKED + NEXT),
    "an excluded date of a timed series": (
        (*ONE_HOUR, "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20270303"),
        [*BLOCKED, "04 09:00 - 04 10:00"],
    ),
    "an excluded time of a series of days": (
        ("DTSTART;VALUE=DATE:20270301", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20270302T000000"),
        ["01 00:00 - 01 23:00", "02 23:00 - 03 23:00"],  # what is read begins on the first
    ),
    "until a date, which is included": (
        (*ONE_HOUR, "RRULE:FREQ=DAILY;UNTIL=20270303"),
        BLOCKED + NEXT,
    ),
    "a count below zero is no count": (
        ("DTSTART:20270330T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=-1"),
        ["30 09:00 - 30 10:00", "31 09:00 - 31 10:00"],
    ),
    "plain weekdays among numbered ones": (
        (*ONE_HOUR, "RRULE:FREQ=MONTHLY;BYDAY=TU,1WE;UNTIL=20270310T000000Z"),
        [*BLOCKED, *NEXT, "09 09:00 - 09 10:00"],
    ),
    "the calendar that all use": (
        (*ONE_HOUR, "RRULE:RSCALE=GREGORIAN;FREQ=DAILY;COUNT=2;SKIP=OMIT"),
        BLOCKED + NEXT,
    ),
    "to the end of time": (("DTSTART:20270331T220000Z", "DTEND:99991231T235959Z"), ["31 22:00 - 01 00:00"]),
    "a length beyond all time": (("DTSTART:20270331T220000Z", "DURATION:P9999999D"), ["31 22:00 - 01 00:00"]),
    "transparent in small letters": ((*ONE_HOUR, "TRANSP:transparent"), []),
    "a transparency that does not exist": ((*ONE_HOUR, "TRANSP:MAYBE"), BLOCKED),
    "cancelled in the other spelling": ((*ONE_HOUR, "STATUS:canceled"), []),
    "a status that does not exist": ((*ONE_HOUR, "STATUS:GONE"), BLOCKED),
    "working elsewhere": ((*ONE_HOUR, "X-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE"), BLOCKED),
    "a line that nobody can split": ((*ONE_HOUR, "ATTENDEE;=;;:x", "X-ODD LINE"), BLOCKED),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_can_be_understood_is_busy_and_not_counted(name: str) -> None:
    parts, pieces = UNUSUAL[name]

    assert found(calendar(event(*parts))) == pieces
    assert read(event(*parts)).unreadable == 0


def test_a_nights_end_over_a_change_of_clocks_is_the_later_of_both_meanings() -> None:
    night = VIENNA.format("0326T220000", "0327T060000") + "\nRRULE:FREQ=DAILY;COUNT=2"

    assert found(calendar(event(night))) == ["26 21:00 - 27 05:00", "27 21:00 - 28 05:00"]


def test_between_two_occurrences_of_one_hour_the_end_is_the_second() -> None:
    autumn = replace(MARCH, start=MARCH.start.replace(month=10), end=MARCH.end.replace(month=11))
    turn = VIENNA.format("1031T024500", "1031T021500")

    assert found(calendar(event(turn)), autumn) == ["31 00:45 - 31 01:15"]


# -- what cannot -----------------------------------------------------------------------------------------


def test_an_unknown_zone_is_read_where_the_owner_is_and_counted() -> None:
    for rule in ((), ("RRULE:FREQ=DAILY;COUNT=1",)):
        unknown = event("DTSTART;TZID=Nowhere/Atlantis:20270302T100000", "DURATION:PT1H", *rule)
        assert found(calendar(unknown)) == BLOCKED
        assert (read(unknown).unreadable, read(unknown).missing_time) == (1, 0)


@pytest.mark.parametrize(
    ("lines", "pieces"),
    [
        (("DTSTART:garbage",), []),
        (("SUMMARY:no time",), []),
        (("DTSTART:20271340T090000Z", "DURATION:PT1H"), []),
        (("DTSTART:20270302T090000Z", "DTEND:later"), []),
        (("DTSTART;VALUE=DATE:20270302", "DTEND;VALUE=DATE:later"), DAY),
        (("DTSTART:20270302T100000Z", "DTEND:20270302T090000Z"), BLOCKED),
        (("DTSTART:20270302T100000Z", "DURATION:-PT1H"), BLOCKED),
        ((*ONE_HOUR, "RRULE:FREQ=NEVER"), BLOCKED),
        ((*ONE_HOUR, "RRULE:FREQ=DAILY;INTERVAL=0"), BLOCKED),
        ((*ONE_HOUR, "RRULE:FREQ=DAILY;BYMONTH=13"), BLOCKED),
        ((*ONE_HOUR, "RRULE:FREQ=DAILY;BYHOUR=25"), BLOCKED),
        ((*ONE_HOUR, "RRULE:FREQ=DAILY;UNTIL=soon"), BLOCKED),
        ((*ONE_HOUR, "RDATE:soon"), BLOCKED),
    ],
)
def test_what_nobody_understands_is_counted_and_the_rest_of_it_is_busy(
    lines: tuple[str, ...], pieces: list[str]
) -> None:
    broken = event(*lines)

    assert found(calendar(broken)) == pieces
    assert (read(broken).unreadable, read(broken).missing_time) == (1, 1)
    assert read(event(*lines, "TRANSP:TRANSPARENT")).unreadable == ("DTSTART:garbage" in lines) * 0


def test_a_period_that_nobody_understands_leaves_the_others() -> None:
    block = "BEGIN:VFREEBUSY\nFREEBUSY:soon,20270302T090000Z/PT1H\nEND:VFREEBUSY"

    assert found(calendar(block)) == BLOCKED
    assert read(block).missing_time == 1


def test_published_availability_is_not_read_and_counted() -> None:
    assert read("BEGIN:VAVAILABILITY\nDTSTART:20270302T090000Z\nEND:VAVAILABILITY", MEETING).missing_time == 1

"""Hours mean wall-clock time in the consultant's zone, through every change of clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from booking_tasks.contracts import RecurringHours, WeeklyHours
from booking_tasks.contracts.hours import LeaveTime
from booking_tasks.hours import rules
from booking_tasks.hours.local_times import instant_of
from booking_tasks.hours.rules import (
    HoursRule,
    Leave,
    Plan,
    RulePeriod,
    Window,
    first_overlap,
    leave_spans,
    merged,
    subtract,
)

BERLIN = ZoneInfo("Europe/Berlin")


def windows(declared: list[HoursRule], zone: ZoneInfo, first: date, last: date) -> list[Window]:
    """The windows of weekly hours and of single dates."""
    weekly = tuple(one for one in declared if one.weekday)
    single = tuple(one for one in declared if one.day)
    return rules.windows(Plan(zone, (RulePeriod(weekly),), single), first, last)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Berlin", datetime(2027, 1, 4, 9), utc(2027, 1, 4, 8)),
        ("Europe/Berlin", datetime(2027, 7, 5, 9), utc(2027, 7, 5, 7)),
        # 31 October 2027: 02:30 happens twice; the first is still summer time
        ("Europe/Berlin", datetime(2027, 10, 31, 2, 30), utc(2027, 10, 31, 0, 30)),
        # 28 March 2027: 02:30 does not happen; the clock jumps at 01:00 UTC
        ("Europe/Berlin", datetime(2027, 3, 28, 2, 30), utc(2027, 3, 28, 1)),
        ("Europe/Berlin", datetime(2027, 3, 28, 2, 0), utc(2027, 3, 28, 1)),
        # half an hour of daylight saving
        ("Australia/Lord_Howe", datetime(2027, 10, 3, 2, 15), utc(2027, 10, 2, 15, 30)),
        # a whole day that never was: the jump is the midnight between 29 and 31 December
        ("Pacific/Apia", datetime(2011, 12, 30, 12), utc(2011, 12, 30, 10)),
        ("Asia/Kathmandu", datetime(2027, 1, 4, 9), utc(2027, 1, 4, 3, 15)),
    ],
)
def test_a_local_time_becomes_one_instant(zone: str, local: datetime, instant: datetime) -> None:
    assert instant_of(local, ZoneInfo(zone)) == instant


def test_a_weekly_hour_is_the_same_wall_clock_time_on_both_sides_of_every_change() -> None:
    rule = HoursRule(start=time(9), end=time(17), weekday=1)
    found = windows([rule], BERLIN, date(2027, 1, 1), date(2027, 12, 31))
    assert len(found) == 52
    assert {window.start.astimezone(BERLIN).time() for window in found} == {time(9)}
    assert {window.end.astimezone(BERLIN).time() for window in found} == {time(17)}
    assert {window.start.hour for window in found} == {7, 8}


def test_a_window_inside_the_gap_is_empty() -> None:
    rule = HoursRule(start=time(2, 15), end=time(2, 45), day=date(2027, 3, 28))
    assert windows([rule], BERLIN, date(2027, 3, 28), date(2027, 3, 28)) == []


def test_a_skipped_day_offers_nothing() -> None:
    rule = HoursRule(start=time(9), end=time(17), weekday=5)
    assert windows([rule], ZoneInfo("Pacific/Apia"), date(2011, 12, 30), date(2011, 12, 30)) == []


@pytest.mark.parametrize(("day", "hours"), [(date(2027, 3, 27), 7), (date(2027, 10, 30), 9)])
def test_a_night_lasts_as_long_as_the_clock_makes_it(day: date, hours: int) -> None:
    night = HoursRule(start=time(22), end=time(6), day=day)
    [window] = merged(windows([night], BERLIN, day, day))
    assert window.end - window.start == timedelta(hours=hours)


def test_midnight_to_midnight_is_the_whole_day() -> None:
    rule = HoursRule(start=time(0), end=time(0), day=date(2027, 6, 1))
    [window] = windows([rule], BERLIN, date(2027, 6, 1), date(2027, 6, 1))
    assert window.end - window.start == timedelta(hours=24)


def test_overlapping_hours_of_a_week_and_of_a_date_do_not_overlap_as_windows() -> None:
    weekly = HoursRule(start=time(9), end=time(12), weekday=2)
    single = HoursRule(start=time(11), end=time(15), day=date(2027, 6, 1))
    within = HoursRule(start=time(13), end=time(14), day=date(2027, 6, 1))
    found = windows([weekly, single, within], UTC_ZONE, date(2027, 6, 1), date(2027, 6, 1))
    assert [(one.start.hour, one.end.hour) for one in found] == [(9, 11), (11, 13), (13, 15)]


UTC_ZONE = ZoneInfo("UTC")


def test_hours_that_touch_do_not_overlap_and_those_that_cross_do() -> None:
    morning = HoursRule(start=time(9), end=time(12), weekday=1)
    noon = HoursRule(start=time(12), end=time(14), weekday=1)
    late = HoursRule(start=time(11, 59), end=time(13), weekday=1)
    assert first_overlap([noon, morning]) is None
    assert first_overlap([late, morning]) == (morning, late)


def test_windows_apart_from_others_keep_what_those_leave() -> None:
    day = datetime(2027, 3, 1, tzinfo=UTC)

    def window(start: float, end: float, rule: str | None = None) -> Window:
        return Window(day + timedelta(hours=start), day + timedelta(hours=end), rule)

    hours = [window(9, 17, "r"), window(18, 20, "r")]
    others = [window(8, 10), window(12, 13), window(18, 21), window(20, 22)]
    left = subtract(hours, others)
    assert [replace(one, counted_from=None) for one in left] == [window(10, 12, "r"), window(13, 17, "r")]
    assert [one.origin for one in left] == [hours[0].start] * 2
    assert subtract(hours, []) == hours


# -- the end of a leave, and 24:00 ---------------------------------------------------------------------

#: Zone -> a wall-clock time that occurs twice, and its second occurrence.
TWICE = {
    "Europe/Vienna": (datetime(2027, 10, 31, 2, 30), datetime(2027, 10, 31, 1, 30, tzinfo=UTC)),
    "America/New_York": (datetime(2027, 11, 7, 1, 15), datetime(2027, 11, 7, 6, 15, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2027, 4, 4, 1, 45), datetime(2027, 4, 3, 15, 15, tzinfo=UTC)),
    "America/Santiago": (datetime(2027, 4, 3, 23, 30), datetime(2027, 4, 4, 3, 30, tzinfo=UTC)),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_leave_that_ends_at_a_repeated_time_lasts_until_its_second_occurrence(name: str) -> None:
    local, second = TWICE[name]
    leave = Leave(local - timedelta(days=1), local)
    [(_, end)] = leave_spans(Plan(ZoneInfo(name), leaves=(leave,)), datetime(2027, 1, 1, tzinfo=UTC))
    assert end == second
    assert instant_of(local, ZoneInfo(name)) < second


@pytest.mark.parametrize("name", TWICE)
def test_a_leave_that_begins_at_a_repeated_time_begins_at_its_first_occurrence(name: str) -> None:
    local, second = TWICE[name]
    leave = Leave(local, local + timedelta(days=1))
    [(start, _)] = leave_spans(Plan(ZoneInfo(name), leaves=(leave,)), datetime(2027, 1, 1, tzinfo=UTC))
    assert start == instant_of(local, ZoneInfo(name)) < second


def test_a_leave_that_ends_in_a_skipped_hour_ends_at_the_change() -> None:
    leave = Leave(datetime(2027, 3, 27, 12), datetime(2027, 3, 28, 2, 30))
    plan = Plan(ZoneInfo("Europe/Vienna"), leaves=(leave,))
    [(_, end)] = leave_spans(plan, datetime(2027, 1, 1, tzinfo=UTC))
    assert end == datetime(2027, 3, 28, 1, tzinfo=UTC)


@pytest.mark.parametrize("written", ["24:00", "24:00:00", "00:00"])
def test_a_day_may_end_at_24_00(written: str) -> None:
    hours = WeeklyHours.model_validate({"weekday": 1, "start": "09:00", "end": written})
    assert hours.end == time(0)
    whole = WeeklyHours.model_validate({"weekday": 1, "start": "00:00", "end": written})
    assert (whole.start, whole.end) == (time(0), time(0))


@pytest.mark.parametrize("contract", [LeaveTime, RecurringHours])
def test_a_moment_may_end_at_24_00_of_its_day(contract: type[LeaveTime] | type[RecurringHours]) -> None:
    for written in ("2027-12-31T24:00", "2027-12-31 24:00:00"):
        found = contract.model_validate({"start": "2027-12-31T09:00", "end": written})
        assert found.end == datetime(2028, 1, 1)


@pytest.mark.parametrize("written", ["24:01", "25:00", "24:00:01", "2027-12-31T24:00"])
def test_no_other_time_beyond_midnight_is_taken(written: str) -> None:
    with pytest.raises(ValidationError):
        WeeklyHours.model_validate({"weekday": 1, "start": "09:00", "end": written})
    with pytest.raises(ValidationError):
        WeeklyHours.model_validate({"weekday": 1, "start": "24:00", "end": "24:00"})


@pytest.mark.parametrize("written", ["2027-02-30T24:00", "9999-12-31T24:00", "24:01", "2027-12-31T24:30"])
def test_a_moment_that_does_not_exist_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        LeaveTime.model_validate({"start": "2027-01-01T09:00", "end": written})

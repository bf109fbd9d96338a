"""Which hours count on a day: overrides, holidays, rule sets, travel, leave."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from booking_tasks.contracts import Hours
from booking_tasks.hours.declared import first_fault, plan_of
from booking_tasks.hours.public_holidays import is_known, public_holidays
from booking_tasks.hours.rules import (
    HoursRule,
    Leave,
    Plan,
    RulePeriod,
    TravelPeriod,
    Window,
    leave_spans,
    merged,
    windows,
)
from booking_tasks.kit.time_zones import zone

VIENNA, NEW_YORK = zone("Europe/Vienna"), zone("America/New_York")
#: A Monday.
DAY = date(2027, 6, 7)


def hours(start: int, end: int, day: date | int) -> HoursRule:
    where: dict[str, Any] = {"weekday": day} if isinstance(day, int) else {"day": day}
    return HoursRule(time(start % 24), time(end % 24), **where)


def every_day(start: int, end: int) -> RulePeriod:
    return RulePeriod(tuple(hours(start, end, day) for day in range(1, 8)))


def plan(zone: ZoneInfo = VIENNA, usual: RulePeriod | None = None, **values: Any) -> Plan:
    return Plan(zone, (usual or every_day(9, 17), *values.pop("sets", ())), **values)


def spoken(found: list[Window], where: ZoneInfo = VIENNA) -> list[str]:
    """`7 09-17`: day of the month and hours, as the wall clock shows them."""
    local = [(one.start.astimezone(where), one.end.astimezone(where)) for one in found]
    return [f"{start.day} {start:%H}-{end:%H}" for start, end in local]


def of_days(this: Plan, number: int, first: date = DAY) -> list[str]:
    return spoken(windows(this, first, first + timedelta(days=number - 1)))


def test_an_override_is_all_that_counts_on_its_date() -> None:
    tuesday, wednesday = DAY + timedelta(days=1), DAY + timedelta(days=2)
    overrides = {tuesday: (hours(20, 22, tuesday),), wednesday: ()}
    this = plan(overrides=overrides, single=(hours(6, 7, tuesday), hours(6, 7, wednesday)))
    assert of_days(this, 4) == ["7 09-17", "8 20-22", "10 09-17"]


def test_a_public_holiday_is_off_but_for_hours_of_that_very_date() -> None:
    holidays = frozenset({DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)})
    tuesday, wednesday = DAY + timedelta(days=1), DAY + timedelta(days=2)
    this = plan(
        holidays=holidays,
        single=(hours(10, 11, tuesday),),
        overrides={wednesday: (hours(12, 13, wednesday),)},
    )
    assert of_days(this, 4) == ["8 10-11", "9 12-13", "10 09-17"]
    assert [this.is_day_off(DAY), this.is_day_off(wednesday)] == [True, False]


def test_a_night_before_a_holiday_belongs_to_the_day_it_starts_on() -> None:
    this = plan(usual=every_day(22, 6), holidays=frozenset({DAY + timedelta(days=1)}))
    assert of_days(this, 3) == ["7 22-06", "9 22-06"]


def test_of_the_rule_sets_in_force_the_one_that_begins_last_counts() -> None:
    summer = RulePeriod((hours(7, 8, 1), hours(7, 8, 2)), (), date(2027, 6, 1), date(2027, 6, 8))
    within = RulePeriod((hours(5, 6, 1),), (), date(2027, 6, 8), date(2027, 6, 8))
    assert of_days(plan(sets=(summer,)), 3) == ["7 07-08", "8 07-08", "9 09-17"]
    assert of_days(plan(sets=(summer, within)), 3) == ["7 07-08", "9 09-17"]


def test_a_new_rule_set_from_a_date_on_stays() -> None:
    march = RulePeriod((hours(12, 14, 1),), (), date(2027, 3, 1))
    found = of_days(plan(sets=(march,)), 10, date(2027, 2, 27))
    assert found == ["27 09-17", "28 09-17", "1 12-14", "8 12-14"]


def test_travel_reads_the_hours_in_the_other_zone_on_its_days() -> None:
    away = TravelPeriod(DAY + timedelta(days=1), DAY + timedelta(days=2), NEW_YORK)
    found = windows(plan(travel=(away,)), DAY, DAY + timedelta(days=3))
    assert spoken(found) == ["7 09-17", "8 15-23", "9 15-23", "10 09-17"]
    assert spoken(found[1:3], NEW_YORK) == ["8 09-17", "9 09-17"]


def test_windows_that_touch_keep_their_starts_and_are_one_when_they_are_merged() -> None:
    morning_and_noon = RulePeriod((hours(9, 12, 1), hours(12, 15, 1), hours(22, 24, 1), hours(0, 3, 2)))
    found = windows(plan(usual=morning_and_noon), DAY, DAY + timedelta(days=1))
    assert spoken(found) == ["7 09-12", "7 12-15", "7 22-00", "8 00-03"]
    [day, night] = merged(found)
    assert spoken([day, night]) == ["7 09-15", "7 22-03"]
    assert (day.recurrence_rule, night.recurrence_rule) == ("FREQ=WEEKLY;BYDAY=MO", None)


def test_leave_is_read_on_the_wall_of_the_days_it_lies_on() -> None:
    midnight = datetime(2027, 6, 8)
    away = TravelPeriod(date(2027, 6, 9), date(2027, 6, 30), NEW_YORK)
    leaves = (Leave(midnight, midnight + timedelta(days=3)), Leave(midnight - timedelta(days=300), midnight))
    since = datetime(2027, 6, 7, tzinfo=UTC)
    assert leave_spans(plan(leaves=leaves[:1]), since) == [
        (datetime(2027, 6, 7, 22, tzinfo=UTC), datetime(2027, 6, 10, 22, tzinfo=UTC))
    ]
    assert leave_spans(plan(leaves=leaves[:1], travel=(away,)), since) == [
        (datetime(2027, 6, 7, 22, tzinfo=UTC), datetime(2027, 6, 11, 4, tzinfo=UTC))
    ]
    assert len(leave_spans(plan(leaves=leaves), since)) == 1  # they touch
    assert leave_spans(plan(leaves=leaves[1:]), since + timedelta(days=2)) == []


def test_declared_hours_of_every_sort_become_a_plan() -> None:
    declared = Hours.model_validate(
        {
            "recurring": [
                {"start": "2027-06-07T18:00", "duration_minutes": 60, "rrule": "FREQ=DAILY;INTERVAL=2"},
                {"start": "2027-06-08T08:00", "end": "2027-06-08T09:30"},
            ],
            "rule_sets": [
                {
                    "valid_from": "2027-06-11",
                    "recurring": [
                        {"start": "2027-06-01T23:00", "end": "2027-06-02T01:00", "rrule": "FREQ=DAILY"}
                    ],
                }
            ],
            "overrides": [{"day": "2027-06-09", "hours": [{"start": "06:00", "end": "07:00"}]}],
            "travel": [{"first_day": "2027-06-12", "last_day": "2027-06-12", "time_zone": "Asia/Tokyo"}],
        }
    )
    assert first_fault(declared) is None
    found = of_days(plan_of("Europe/Vienna", declared), 6)
    assert found == ["7 18-19", "8 08-09", "9 06-07", "11 23-01", "12 16-18"]


@pytest.mark.parametrize(
    ("declared", "code", "field"),
    [
        (
            {"weekly": [{"weekday": 1, "start": "09:00", "end": "12:00"}] * 2},
            "overlapping_hours",
            "weekly",
        ),
        (
            {
                "rule_sets": [
                    {
                        "valid_from": "2027-03-01",
                        "weekly": [{"weekday": 1, "start": "09:00", "end": "12:00"}] * 2,
                    }
                ]
            },
            "overlapping_hours",
            "rule_sets.0.weekly",
        ),
        (
            {"overrides": [{"day": "2027-03-01", "hours": [{"start": "09:00", "end": "12:00"}] * 2}]},
            "overlapping_hours",
            "overrides.0.hours",
        ),
        (
            {
                "recurring": [
                    {
                        "start": "2027-03-01T09:00",
                        "duration_minutes": 5,
                        "rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
                    }
                ]
            },
            "never_happens",
            "recurring.0.rrule",
        ),
    ],
)
def test_what_a_message_does_not_show_by_itself_is_found_with_its_field(
    declared: dict[str, Any], code: str, field: str
) -> None:
    fault = first_fault(Hours.model_validate(declared))
    assert fault is not None
    assert (fault.code, fault.field) == (code, field)


def test_public_holidays_are_those_of_the_country_or_its_part() -> None:
    year = date(2027, 1, 1), date(2027, 12, 31)
    assert date(2027, 10, 26) in public_holidays("AT", *year)
    epiphany = date(2027, 1, 6)
    assert epiphany in public_holidays("DE-BY", *year)
    assert epiphany not in public_holidays("DE", *year)
    assert public_holidays(None, *year) == public_holidays("XX", *year) == frozenset()
    assert [is_known(one) for one in ("AT", "DE-BY", "DE-XX", "XX")] == [True, True, False, False]

"""RFC 5545 rules: expanded as the RFC's examples and a day-by-day model say; refused with the remedy."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.contracts.recurrence import parts_of
from booking_tasks.hours.recurrence import Recurrence, has_occurrence
from booking_tasks.kit.time_zones import zone
from tests.hours.model import DAY, occurrences

_SUITE = settings(max_examples=400, derandomize=True, deadline=None)
BERLIN, NEW_YORK = zone("Europe/Berlin"), zone("America/New_York")
NINE = time(9)
_FORTNIGHT = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU"
_WORKDAYS = "BYDAY=MO,TU,WE,TH,FR"


def days(rule: str, start: date, last: date, **values: Any) -> list[date]:
    recurrence = Recurrence(datetime.combine(start, NINE), rule, **values)
    return [one.date() for one in recurrence.starts(start, last, NEW_YORK)]


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        # the two examples of RFC 5545, section 3.8.5.3, that show why WKST matters
        (f"{_FORTNIGHT};WKST=MO", date(2097, 8, 6), ["08-06", "08-11", "08-20", "08-25"]),
        (f"{_FORTNIGHT};WKST=SU", date(2097, 8, 6), ["08-06", "08-18", "08-20", "09-01"]),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=1FR", date(2027, 9, 3), ["09-03", "10-01", "11-05"]),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", date(2027, 9, 20), ["09-20", "10-18", "11-22"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", date(2027, 1, 31), ["01-31", "03-31", "05-31"]),
        (f"FREQ=MONTHLY;COUNT=3;{_WORKDAYS};BYSETPOS=-1", date(2027, 9, 9), ["09-30", "10-29", "11-30"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=1", date(2027, 1, 1), ["05-17"]),
        ("FREQ=YEARLY;BYYEARDAY=100;COUNT=1", date(2027, 1, 1), ["04-10"]),
    ],
)
def test_rules_mean_what_the_rfc_says(rule: str, start: date, expected: list[str]) -> None:
    assert [f"{one:%m-%d}" for one in days(rule, start, start + 300 * DAY)] == expected


def test_the_29th_of_february_comes_in_leap_years_alone() -> None:
    found = days("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", date(2028, 2, 29), date(2040, 3, 1))
    assert [one.year for one in found] == [2028, 2032, 2036, 2040]


def test_until_is_inclusive_and_an_instant() -> None:
    start, last = (
        date(2027, 3, 27),
        date(2027, 4, 5),
    )  # from the 28th on 09:00 is 07:00Z

    def until(value: str) -> int:
        recurrence = Recurrence(datetime.combine(start, NINE), f"FREQ=DAILY;UNTIL={value}")
        return len(recurrence.starts(start, last, BERLIN))

    assert until("20270330T070000Z") == 4
    assert until("20270330T065959Z") == 3
    assert until("20270330T090000") == 4
    assert until("20270330T085959") == 3


def test_exdate_beats_rdate_and_does_not_lengthen_count() -> None:
    start = date(2027, 3, 1)
    second, extra = datetime(2027, 3, 2, 9), datetime(2027, 3, 20, 9)
    found = days(
        "FREQ=DAILY;COUNT=3", start, start + 60 * DAY, exdates=frozenset({second}), rdates=(extra, second)
    )
    assert found == [date(2027, 3, 1), date(2027, 3, 3), date(2027, 3, 20)]


def test_without_a_rule_there_is_the_start_and_the_dates() -> None:
    once = Recurrence(datetime(2027, 3, 1, 9), rdates=(datetime(2027, 3, 5, 14),))
    found = once.starts(date(2027, 2, 1), date(2027, 4, 1), BERLIN)
    assert found == [datetime(2027, 3, 1, 9), datetime(2027, 3, 5, 14)]


_WEEKDAYS = st.lists(st.sampled_from(("MO", "TU", "WE", "TH", "FR", "SA", "SU")), min_size=1, unique=True)
_ORDINAL = st.sampled_from(("1", "2", "-1", "+3", "5", ""))
_NTH = st.lists(
    st.tuples(_ORDINAL, st.sampled_from(("MO", "WE", "SU"))).map("".join), min_size=1, max_size=3, unique=True
)
_MONTHS = st.lists(st.integers(1, 12).map(str), min_size=1, max_size=4, unique=True)
_MONTH_DAYS = st.lists(
    st.sampled_from(("1", "13", "29", "31", "-1", "-30")), min_size=1, max_size=3, unique=True
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    parts = {"FREQ": draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))}
    often = parts["FREQ"] in {"DAILY", "WEEKLY"}
    parts["INTERVAL"] = str(draw(st.integers(1, 20 if often else 3)))
    if draw(st.booleans()):
        parts["COUNT"] = str(draw(st.integers(1, 40)))
    if draw(st.booleans()):
        parts["WKST"] = draw(st.sampled_from(("MO", "SU", "TH")))
    if draw(st.booleans()):
        parts["BYDAY"] = ",".join(draw(_WEEKDAYS if often else _NTH))
    if draw(st.booleans()):
        parts["BYMONTH"] = ",".join(draw(_MONTHS))
    if parts["FREQ"] != "WEEKLY" and draw(st.booleans()):
        parts["BYMONTHDAY"] = ",".join(draw(_MONTH_DAYS))
    return parts


@_SUITE
@given(rules(), st.dates(date(2020, 1, 1), date(2028, 12, 31)), st.integers(0, 2500))
def test_any_rule_expands_as_the_model_says_day_by_day(
    parts: dict[str, str], start: date, later: int
) -> None:
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    assert parts_of(rule) == parts
    begin, first = datetime.combine(start, NINE), start + later * DAY
    expected = [one for one in occurrences(begin, parts, first + 90 * DAY) if one.date() >= first]
    if has_occurrence(rule, begin):
        assert Recurrence(begin, rule).starts(first, first + 90 * DAY, BERLIN) == expected
    else:
        assert expected == []


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("FREQ=SECONDLY", "FREQ must be one of DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=HOURLY", "FREQ must be one of"),
        ("BYDAY=MO", "FREQ is missing"),
        ("FREQ=WEEKLY;FREQ=DAILY", "FREQ occurs twice"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY must be weekdays"),
        ("FREQ=WEEKLY;BYDAY=2MO", "ordinals with MONTHLY or YEARLY"),
        ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY must be weekdays"),
        ("FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO", "no ordinals beside BYWEEKNO"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1"),
        ("FREQ=DAILY;COUNT=-1", "COUNT must be a whole number from 1"),
        ("FREQ=DAILY;COUNT=٣", "is no part|COUNT must be"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101T000000Z", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20270101", "UNTIL must be a moment"),
        ("FREQ=DAILY;UNTIL=20271301T000000Z", "UNTIL must be a moment"),
        ("FREQ=DAILY;WKST=XX", "WKST must be one of"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH must be whole numbers from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be whole numbers"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "does not go with WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=3", "BYYEARDAY goes with YEARLY"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO goes with YEARLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "chooses among another"),
        ("FREQ=DAILY;BYHOUR=9", "is not a part of a rule"),
        ("FREQ=DAILY;", "is not a part of a rule"),
        ("RRULE:FREQ=DAILY", "is not a part of a rule"),
        ("", "is not a part of a rule"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_would_be_right(rule: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parts_of(rule)


@pytest.mark.parametrize(
    ("rule", "start", "ever"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", date(2027, 1, 1), False),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", date(2027, 3, 1), False),
        ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", date(2027, 3, 1), False),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", date(2027, 3, 1), False),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", date(2032, 3, 1), True),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", date(2080, 2, 29), True),
        ("FREQ=DAILY;BYMONTHDAY=13;BYDAY=FR", date(2000, 2, 29), True),
    ],
)
def test_whether_a_rule_ever_happens_is_known(rule: str, start: date, ever: bool) -> None:
    assert has_occurrence(rule, datetime.combine(start, NINE)) is ever


def test_an_old_rule_keeps_its_weeks() -> None:
    """Steps that lie long ago are left out, not counted anew."""
    rule = Recurrence(datetime(2000, 1, 5, 9), "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,FR;WKST=SU")
    found = rule.starts(date(2027, 3, 1), date(2027, 5, 30), BERLIN)
    parts = {"FREQ": "WEEKLY", "INTERVAL": "3", "BYDAY": "MO,FR", "WKST": "SU"}
    whole = list(occurrences(rule.start, parts, date(2027, 5, 30)))
    assert found == [one for one in whole if one >= datetime(2027, 3, 1)]
    assert len(found) in range(7, 11)
    assert found[2] - found[0] in {timedelta(days=21)}


@pytest.mark.parametrize("interval", [1, 3, 5, 18])
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTHDAY=13,14",
        f"FREQ=WEEKLY;{_WORKDAYS};BYSETPOS=-1;WKST=TH",
        f"FREQ=MONTHLY;{_WORKDAYS};BYSETPOS=2",
        "FREQ=MONTHLY;BYMONTHDAY=31,-31",
        "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO,SU",
        "FREQ=YEARLY;BYYEARDAY=1,366,-1",
        "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3,10",
    ],
)
def test_leaving_out_the_past_of_a_rule_leaves_out_nothing_else(rule: str, interval: int) -> None:
    start, first = datetime(2003, 12, 31, 9), date(2027, 1, 1)
    stepped = f"{rule};INTERVAL={interval}"
    whole = rrulestr(stepped, dtstart=start).between(datetime(2027, 1, 1), datetime(2031, 1, 1))
    assert Recurrence(start, stepped).starts(first, date(2030, 12, 31), BERLIN) == whole

"""Every change of clocks in twelve zones: the projection says what a minute-by-minute model says."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.hours.local_times import spans_of
from booking_tasks.hours.recurrence import Recurrence
from booking_tasks.hours.rules import HoursRule, Plan, RecurringRule, RulePeriod, windows
from booking_tasks.kit.time_zones import zone
from tests.hours.model import DAY, MINUTE, ZONES, Walls, minutes_of, shown, transitions

_SUITE = settings(max_examples=60, derandomize=True, deadline=None)
_CHANGES = [(name, at) for name in ZONES for at in transitions(name)]


def test_the_changes_are_many_and_of_every_sort() -> None:
    sizes = {shown(at, zone(name)) - shown(at - MINUTE, zone(name)) - MINUTE for name, at in _CHANGES}
    assert len(_CHANGES) > 900
    assert all(transitions(name) for name in ZONES)
    assert sizes >= {
        timedelta(hours=1),
        -timedelta(hours=1),
        timedelta(minutes=30),
        timedelta(minutes=15),
        DAY,
    }


def _edges(name: str, at: datetime) -> list[datetime]:
    """The wall-clock times that matter at a change: the last before, the first after, between, and near."""
    before, after = shown(at - MINUTE, zone(name)) + MINUTE, shown(at, zone(name))
    middle = before + (after - before) // 2
    near = timedelta(minutes=45)
    found = {before, after, middle, before - near, after - near, before + near, after + near}
    return sorted(found)


@pytest.mark.parametrize("name", ZONES)
def test_hours_that_begin_or_end_anywhere_near_a_change_are_what_the_clock_on_the_wall_shows(
    name: str,
) -> None:
    for at in transitions(name):
        walls = Walls(name, at, reach=timedelta(hours=3))
        edges = _edges(name, at)
        for number, start in enumerate(edges):
            for end in edges[number + 1 :]:
                found = spans_of(start, end, walls.zone)
                assert minutes_of(found) == walls.hours(start, end), (name, at, start, end)
                assert all(one[1] < other[0] for one, other in pairwise(found))


@_SUITE
@given(
    st.sampled_from(_CHANGES),
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 95), st.integers(0, 95)).filter(
            lambda one: one[1] != one[2] or one[1] == 0
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_weekly_hours_around_any_change_are_what_the_model_says(
    change: tuple[str, datetime], week: list[tuple[int, int, int]]
) -> None:
    name, at = change
    walls = Walls(name, at, reach=4 * DAY)
    day = shown(at, walls.zone).date()
    rules = tuple(
        HoursRule(_quarter(start), _quarter(end), weekday=(day + (offset - 3) * DAY).isoweekday())
        for offset, start, end in week
    )
    first, last = day - 2 * DAY, day + 2 * DAY
    found = windows(Plan(walls.zone, (RulePeriod(rules),)), first, last)
    expected = set()
    for offset in range(5):
        for rule in rules:
            if rule.weekday == (first + offset * DAY).isoweekday():
                expected |= walls.hours(*rule.local_span(first + offset * DAY))
    assert minutes_of((one.start, one.end) for one in found) == expected
    assert all(one.end <= other.start for one, other in pairwise(found))


def _quarter(number: int) -> time:
    return time(number // 4, 15 * (number % 4))


def test_a_window_never_shows_a_time_outside_the_declared_hours() -> None:
    """31 October 2027 in Berlin: after 02:59 comes 02:00 again, and hours began at 02:30."""
    berlin = zone("Europe/Berlin")
    start, end = datetime(2027, 10, 31, 2, 30), datetime(2027, 10, 31, 4)
    found = [(shown(one, berlin), shown(other, berlin)) for one, other in spans_of(start, end, berlin)]
    assert found == [(start, datetime(2027, 10, 31, 2)), (start, end)]  # 03:00 is shown as 02:00


@pytest.mark.parametrize("name", ZONES)
def test_the_windows_of_every_day_of_a_change_are_what_the_model_says(name: str) -> None:
    """Whole days, nights, small hours, midnight, in turns; with a recurrence that they may touch."""
    daily = RecurringRule(Recurrence(datetime(1984, 1, 1, 1, 20), "FREQ=DAILY"), timedelta(minutes=95))
    spans = ((time(0), time(0)), (time(22), time(6)), (time(2, 30), time(9)), (time(23, 50), time(0, 5)))
    for number, at in enumerate(transitions(name)):
        walls = Walls(name, at, reach=timedelta(hours=54))
        first = shown(at, walls.zone).date() - DAY
        rules = tuple(HoursRule(*spans[number % len(spans)], weekday=day) for day in range(1, 8))
        found = windows(Plan(walls.zone, (RulePeriod(rules, (daily,)),)), first, first + DAY)
        expected = set()
        for day in (first, first + DAY):
            begin = datetime.combine(day, time(1, 20))
            expected |= walls.hours(*rules[0].local_span(day))
            expected |= walls.hours(begin, begin + timedelta(minutes=95))
        assert minutes_of((one.start, one.end) for one in found) == expected, at

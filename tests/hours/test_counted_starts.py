"""Where starts are counted from: one judge, minute by minute, for the rules and for the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from booking_tasks.availability.service import free_time
from booking_tasks.context import Context, Policies
from booking_tasks.hours import service
from booking_tasks.hours.coverage import StartRules, offered_starts
from booking_tasks.hours.recurrence import Recurrence
from booking_tasks.hours.rules import HoursRule, Plan, RecurringRule, RulePeriod, windows
from booking_tasks.kit.time_zones import zone
from tests import builders
from tests.hours.model import DAY, MINUTE, ZONES, Walls, shown, transitions
from tests.hours.test_ledger import declare

_CHANGES = [(name, at) for name in ZONES for at in transitions(name)]
_STEPS = (5, 20, 30, 45, 50, 60, 90, 120, 150)
LocalHours = tuple[datetime, datetime]


def judged(walls: Walls, declared: Iterable[LocalHours], step: int, minutes: int) -> list[datetime]:
    """The starts of hours, found by counting minutes.

    The count begins where any of the declared hours begin, also again after a pause that a change of clocks
    made, and where clocks change. Every `step` minutes there is a start, if the session lies within hours.
    """
    hours: set[datetime] = set()
    begins = {
        at
        for at, before, wall in zip(walls.minutes[1:], walls.walls, walls.walls[1:], strict=False)
        if wall - before != MINUTE
    }
    for start, end in declared:
        mine = walls.hours(start, end)
        hours |= mine
        begins |= {one for one in mine if one - MINUTE not in mine}
    found, count = [], 0
    for at in walls.minutes:
        if at in hours:
            count = 0 if at in begins else count + 1
            if count % step == 0 and all(at + number * MINUTE in hours for number in range(minutes)):
                found.append(at)
    return found


def _time(five_minutes: int) -> time:
    return time(five_minutes // 12, five_minutes % 12 * 5)


_FIVE_MINUTES = st.integers(0, 287)
_WEEK = st.lists(
    st.tuples(st.integers(0, 4), _FIVE_MINUTES, _FIVE_MINUTES)
    | st.just((2, 0, 0))
    | st.tuples(st.integers(1, 3), st.sampled_from((12, 24, 30, 36)), st.sampled_from((36, 48, 60))),
    min_size=1,
    max_size=5,
)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.sampled_from(_CHANGES), _WEEK, st.sampled_from(_STEPS), st.sampled_from((5, 30, 45, 60, 90)))
def test_starts_around_any_change_of_clocks_are_what_the_judge_counts(
    change: tuple[str, datetime], week: list[tuple[int, int, int]], step: int, minutes: int
) -> None:
    name, at = change
    walls = Walls(name, at, reach=4 * DAY)
    first = shown(at, walls.zone).date() - 2 * DAY
    rules = tuple(
        HoursRule(_time(start), _time(end), day=first + offset * DAY) for offset, start, end in week
    )
    declared = [one.local_span(one.day) for one in rules if one.day is not None]
    found = windows(Plan(walls.zone, single=rules), first, first + 4 * DAY)
    no_time, length = timedelta(0), timedelta(minutes=minutes)
    policy = StartRules(
        length, timedelta(minutes=step), no_time, no_time, walls.minutes[0], walls.minutes[-1]
    )
    assert [start for start, _ in offered_starts(found, [], policy)] == judged(walls, declared, step, minutes)


def _around(at: datetime, where: str) -> Iterator[date]:
    day = shown(at, zone(where)).date()
    yield from (day + offset * DAY for offset in range(-2, 3))


#: Whole days; a night; hours that touch; hours that begin in the repeated or skipped hour.
_DECLARED = (
    ("00:00", "00:00"),
    ("22:10", "06:00"),
    ("00:30", "02:30"),
    ("02:30", "07:00"),
)


@pytest.mark.parametrize("step", [50, 120])
@pytest.mark.parametrize("name", ZONES)
def test_the_database_offers_what_the_judge_counts_whatever_day_the_hours_were_saved_on(
    db: Session, name: str, step: int
) -> None:
    """One consultant saved the hours eight days before the change, the other one the day before."""
    at = transitions(name)[-1]
    walls = Walls(name, at, reach=4 * DAY)
    policies = Policies(horizon=timedelta(days=20))
    early = Context(now=at - 8 * DAY, actor="staff", entry_point="admin", policies=policies)
    late = replace(early, now=at - DAY)
    service_type = builders.service_type(db, default_duration_minutes=45, slot_step_minutes=step)
    offered: dict[tuple[int, bool], list[datetime]] = {}
    for number, (start, end) in enumerate(_DECLARED):
        weekly = [{"weekday": day, "start": start, "end": end} for day in range(1, 8)]
        for is_early in (True, False):
            row = builders.consultant(db, time_zone=name)
            declare(db, early if is_early else late, row.consultant_user_id, weekly=weekly)
            service.project(db, late, row)
            found = free_time(db, late, at - DAY, at + 2 * DAY, [row.consultant_user_id], service_type.id)
            offered[number, is_early] = found[row.consultant_user_id].starts
    for number, (start, end) in enumerate(_DECLARED):
        rule = HoursRule(time.fromisoformat(start), time.fromisoformat(end), weekday=1)
        declared = [rule.local_span(day) for day in _around(at, name)]
        expected = [one for one in judged(walls, declared, step, 45) if at - DAY <= one < at + 2 * DAY]
        assert offered[number, True] == offered[number, False] == expected, (start, end)


def test_after_a_change_of_clocks_whole_days_begin_at_midnight_again(db: Session, ctx: Context) -> None:
    """With a step of two hours they began at 01:00 and 03:00."""
    who = builders.consultant(db, time_zone="Europe/Vienna").consultant_user_id
    service_type = builders.service_type(db, default_duration_minutes=60, slot_step_minutes=120)
    declare(db, ctx, who, weekly=[{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(1, 8)])
    since = datetime(2027, 3, 27, 23, tzinfo=UTC)
    found = free_time(db, ctx, since, since + 2 * DAY, [who], service_type.id)[who].starts
    local = [shown(one, zone("Europe/Vienna")) for one in found]
    changed, after = [[one.hour for one in local if one.day == day] for day in (28, 29)]
    assert changed == [0, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]
    assert after == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]


def test_hours_of_several_days_are_counted_from_their_start_whenever_they_are_saved(
    db: Session, ctx: Context
) -> None:
    """Hours that began before yesterday lose their beginning in the ledger, and keep their starts."""
    service_type = builders.service_type(db, default_duration_minutes=30, slot_step_minutes=50)
    recurring = [{"start": "2027-02-26T00:10", "duration_minutes": 5 * 24 * 60, "rrule": "FREQ=MONTHLY"}]
    found = []
    for days in (-3, 0):
        row = builders.consultant(db)
        declare(db, replace(ctx, now=ctx.now + days * DAY), row.consultant_user_id, recurring=recurring)
        service.project(db, ctx, row)
        who = row.consultant_user_id
        found.append(free_time(db, ctx, ctx.now, ctx.now + DAY, [who], service_type.id)[who].starts)
    assert found[0] == found[1]
    began = datetime(2027, 2, 26, 0, 10, tzinfo=UTC)
    assert {(one - began) % (50 * MINUTE) for one in found[0]} == {timedelta(0)}


def test_hours_around_windows_of_another_source_keep_their_starts(db: Session, ctx: Context) -> None:
    row = builders.consultant(db)
    who, day = row.consultant_user_id, datetime(2027, 3, 2, tzinfo=UTC)
    builders.window(db, who, day + timedelta(hours=10), 0.25)
    service_type = builders.service_type(db, default_duration_minutes=30, slot_step_minutes=30)
    declare(db, ctx, who, single=[{"day": "2027-03-02", "start": "09:10", "end": "12:00"}])
    found = free_time(db, ctx, day, day + DAY, [who], service_type.id)[who].starts
    assert [f"{one:%H:%M}" for one in found] == ["09:10", "09:40", "10:00", "10:40", "11:10"]


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(_FIVE_MINUTES, _FIVE_MINUTES), min_size=1, max_size=4), st.sampled_from(_STEPS))
def test_pages_of_starts_are_those_of_the_judge(
    db: Session, ctx: Context, spans: list[tuple[int, int]], step: int
) -> None:
    """Hours of one date that overlap, touch and lie within each other, beside a daily recurrence."""
    nested = db.begin_nested()
    walls = Walls("Europe/Vienna", datetime(2027, 3, 3, tzinfo=UTC), reach=3 * DAY)
    day = date(2027, 3, 3)
    rules = [HoursRule(_time(start), _time(end), day=day) for start, end in spans]
    daily = RecurringRule(Recurrence(datetime(2027, 3, 1, 8, 10), "FREQ=DAILY"), timedelta(minutes=200))
    plan = Plan(walls.zone, (RulePeriod((), (daily,)),), tuple(rules))
    who = builders.consultant(db, time_zone="Europe/Vienna").consultant_user_id
    service_type = builders.service_type(db, default_duration_minutes=30, slot_step_minutes=step)
    for one in windows(plan, day - DAY, day + DAY):
        window = builders.window(db, who, one.start, (one.end - one.start) / timedelta(hours=1))
        window.counted_from = one.counted_from
    db.flush()
    since = datetime(2027, 3, 2, 12, tzinfo=UTC)
    found = free_time(db, ctx, since, since + DAY, [who], service_type.id)
    declared = [one.local_span(day) for one in rules]
    declared += [
        (datetime.combine(one, time(8, 10)), datetime.combine(one, time(11, 30)))
        for one in (day - DAY, day, day + DAY)
    ]
    expected = [one for one in judged(walls, declared, step, 30) if since <= one < since + DAY]
    assert (found[who].starts if who in found else []) == expected
    nested.rollback()

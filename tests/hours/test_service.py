"""Declaring hours and projecting them on real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import SetAvailability, SingleSlot, WeeklyHours
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import service
from booking_tasks.models import AvailabilitySlot
from tests import builders
from tests.builders import NOW


def hours(
    consultant_user_id: UUID, *weekly: WeeklyHours, single: tuple[SingleSlot, ...] = ()
) -> SetAvailability:
    return SetAvailability(
        message_id=uuid4(), actor="admin", consultant_user_id=consultant_user_id, weekly=weekly, single=single
    )


MONDAYS = WeeklyHours(weekday=1, start=time(9), end=time(17))


def windows_of(db: Session, consultant_user_id: UUID) -> list[AvailabilitySlot]:
    return list(
        db.execute(
            select(AvailabilitySlot)
            .where(
                AvailabilitySlot.consultant_user_id == consultant_user_id,
                AvailabilitySlot.status == "available",
            )
            .order_by(AvailabilitySlot.start_time)
        ).scalars()
    )


def test_declared_hours_become_windows_of_the_horizon(db: Session, ctx: Context) -> None:
    who = builders.consultant(db, time_zone="Europe/Berlin").consultant_user_id
    outcome = service.set_availability(db, ctx, hours(who, MONDAYS))
    found = windows_of(db, who)
    assert outcome.result == "done"
    assert outcome.windows_added == len(found) == 13
    assert found[0].recurrence_rule == "FREQ=WEEKLY;BYDAY=MO"
    assert {one.start_time.hour for one in found} == {7, 8}  # both sides of 28 March


def test_projecting_again_writes_nothing(db: Session, ctx: Context) -> None:
    row = builders.consultant(db, time_zone="Europe/Berlin")
    service.set_availability(db, ctx, hours(row.consultant_user_id, MONDAYS))
    before = {one.id for one in windows_of(db, row.consultant_user_id)}
    assert service.project(db, ctx, row) == service.Projection(added=0, removed=0)
    assert {one.id for one in windows_of(db, row.consultant_user_id)} == before


def test_a_day_later_only_the_new_last_day_is_added(db: Session, ctx: Context) -> None:
    row = builders.consultant(db)
    every_day = [WeeklyHours(weekday=day, start=time(9), end=time(17)) for day in range(1, 8)]
    service.set_availability(db, ctx, hours(row.consultant_user_id, *every_day))
    tomorrow = replace(ctx, now=ctx.now + timedelta(days=1))
    assert service.project(db, tomorrow, row) == service.Projection(added=1, removed=0)


@pytest.mark.parametrize(
    "zones", [("Pacific/Kiritimati", "Pacific/Pago_Pago"), ("Pacific/Pago_Pago", "Pacific/Kiritimati")]
)
def test_a_move_to_the_other_side_of_the_date_line_keeps_night_shifts_apart(
    db: Session, ctx: Context, zones: tuple[str, str]
) -> None:
    row = builders.consultant(db, time_zone=zones[0])
    nights = [WeeklyHours(weekday=day, start=time(20), end=time(19)) for day in range(1, 8)]
    days = replace(ctx, now=ctx.now - timedelta(days=5))
    service.set_availability(db, days, hours(row.consultant_user_id, *nights))
    row.time_zone = zones[1]
    db.flush()
    for day in range(3):
        service.project(db, replace(ctx, now=ctx.now + timedelta(days=day)), row)
    found = windows_of(db, row.consultant_user_id)
    assert found[-1].start_time > ctx.now + timedelta(days=88)
    assert all(one.end_time <= other.start_time for one, other in pairwise(found))


def test_a_change_of_hours_lists_sessions_it_no_longer_covers_and_moves_none(
    db: Session, ctx: Context
) -> None:
    session = builders.booked_session(db, start=NOW + timedelta(days=7))
    who = session.consultant_user_id
    covered = service.set_availability(db, ctx, hours(who, MONDAYS))
    assert covered.uncovered_session_ids == ()
    changed = service.set_availability(
        db, ctx, hours(who, WeeklyHours(weekday=2, start=time(9), end=time(10)))
    )
    assert changed.uncovered_session_ids == (session.id,)
    assert session.scheduled_start_time == NOW + timedelta(days=7)


def test_overlapping_hours_are_refused_with_the_field_and_leave_nothing(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    outcome = service.set_availability(
        db, ctx, hours(who, MONDAYS, WeeklyHours(weekday=1, start=time(16), end=time(18)))
    )
    assert (outcome.result, outcome.code, outcome.errors[0].field) == (
        "refused",
        "overlapping_hours",
        "weekly",
    )
    assert windows_of(db, who) == []


def test_hours_of_an_unknown_consultant_are_refused(db: Session, ctx: Context) -> None:
    assert service.set_availability(db, ctx, hours(uuid4(), MONDAYS)).code == RefusalCode.UNKNOWN_CONSULTANT


def test_hours_lie_beside_windows_that_somebody_else_declared(db: Session, ctx: Context) -> None:
    row = builders.consultant(db)
    theirs = builders.window(db, row.consultant_user_id, NOW + timedelta(days=7, hours=3), hours=1)
    assert service.set_availability(db, ctx, hours(row.consultant_user_id, MONDAYS)).result == "done"
    assert service.project(db, ctx, row) == service.Projection(added=0, removed=0)
    found = windows_of(db, row.consultant_user_id)
    assert theirs in found
    day = [
        (one.start_time.hour, one.end_time.hour)
        for one in found
        if one.start_time.date() == theirs.start_time.date()
    ]
    assert day == [(9, 12), (12, 13), (13, 17)]

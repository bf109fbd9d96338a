"""What declaring, leave and projecting do to the ledger: touching only what differs, facts never."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import AddLeave, AvailabilityOutcome, RemoveLeave, SearchSlots, SetAvailability
from booking_tasks.enums import RefusalCode
from booking_tasks.hours import service
from booking_tasks.hours.service import Projection
from booking_tasks.kit.database import transaction
from booking_tasks.kit.time_zones import tzdata_version, zone
from booking_tasks.models import (
    AvailabilityPlan,
    AvailabilityProjection,
    AvailabilitySlot,
    Consultant,
    ConsultantLeave,
    Event,
)
from booking_tasks.search import service as search
from tests import builders
from tests.builders import NOW

ALWAYS = [{"weekday": day, "start": "00:00", "end": "00:00"} for day in range(1, 8)]
OFFICE = [{"weekday": day, "start": "09:00", "end": "17:00"} for day in range(1, 6)]


def declare(db: Session, ctx: Context, who: UUID, **values: Any) -> AvailabilityOutcome:
    envelope = {"message_id": uuid4(), "actor": "staff", "consultant_user_id": who}
    return service.set_availability(db, ctx, SetAvailability.model_validate(envelope | values))


def leave(db: Session, ctx: Context, who: UUID, start: str, end: str, **values: Any) -> AvailabilityOutcome:
    body: dict[str, Any] = {"message_id": uuid4(), "actor": "staff", "consultant_user_id": who}
    body |= {"leave_id": uuid4(), "start": start, "end": end, "reason": "ill"}
    return service.add_leave(db, ctx, AddLeave.model_validate(body | values))


def rows(db: Session, who: UUID, status: str) -> dict[UUID, tuple[datetime, datetime]]:
    found = db.execute(
        select(AvailabilitySlot.id, AvailabilitySlot.start_time, AvailabilitySlot.end_time)
        .where(AvailabilitySlot.consultant_user_id == who, AvailabilitySlot.status == status)
        .order_by(AvailabilitySlot.start_time)
    )
    return {one: (start, end) for one, start, end in found}


def test_a_change_of_hours_touches_only_the_rows_that_differ(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    declare(db, ctx, who, weekly=OFFICE)
    before = rows(db, who, "available")
    outcome = declare(db, ctx, who, weekly=[*OFFICE[1:], OFFICE[0] | {"end": "16:00"}])
    after = rows(db, who, "available")
    assert (outcome.windows_added, outcome.windows_removed) == (13, 13)
    kept = before.keys() & after.keys()
    assert len(kept) == len(before) - 13
    assert {before[one][0].isoweekday() for one in before.keys() - kept} == {1}


def test_facts_are_never_touched_by_a_change_of_hours_or_leave(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db, start=NOW + timedelta(days=7))
    who = session.consultant_user_id
    before = rows(db, who, "booked")
    declare(db, ctx, who, weekly=OFFICE)
    leave(db, ctx, who, "2027-03-01T00:00", "2027-04-01T00:00")
    declare(db, ctx, who)
    assert rows(db, who, "booked") == before != {}


def test_someone_who_is_always_there_has_a_window_each_day(db: Session, ctx: Context) -> None:
    row = builders.consultant(db)
    who = row.consultant_user_id
    declare(db, ctx, who, weekly=ALWAYS)
    (start, _), *_ = before = list(rows(db, who, "available").values())
    assert {(one.time(), end - one) for one, end in before} == {(time(0), timedelta(days=1))}
    for day in range(1, 20):
        later = replace(ctx, now=NOW + timedelta(days=day))
        assert service.project(db, later, row) == Projection(added=1, removed=0)
        assert service.project(db, later, row) == Projection(added=0, removed=0)
    later = replace(ctx, now=NOW + timedelta(days=19))
    declare(db, later, who, weekly=OFFICE[2:3])
    windows = list(rows(db, who, "available").values())
    was = [one for one in windows if one[0] < datetime(2027, 3, 19, tzinfo=UTC)]
    assert was == [one for one in before if one[1] <= datetime(2027, 3, 19, tzinfo=UTC)]  # what was, was
    assert was[0][0] == start
    assert {one.isoweekday() for one, _ in windows[len(was) :]} == {3}


def test_what_was_declared_is_stored_whole_and_replaced_whole(db: Session, ctx: Context) -> None:
    who = builders.consultant(db, time_zone="Europe/Vienna").consultant_user_id
    recurring = {"start": "2027-03-06T10:00", "duration_minutes": 180, "rrule": "FREQ=MONTHLY;BYDAY=1SA"}
    outcome = declare(
        db,
        ctx,
        who,
        recurring=[recurring],
        overrides=[{"day": "2027-04-03"}],
        travel=[{"first_day": "2027-05-01", "last_day": "2027-05-02", "time_zone": "Asia/Tokyo"}],
    )
    found = list(rows(db, who, "available").values())
    assert outcome.windows_added == len(found) == 2
    assert [start for start, _ in found] == [
        datetime(2027, 3, 6, 9, tzinfo=UTC),
        datetime(2027, 5, 1, 1, tzinfo=UTC),
    ]
    labels = db.execute(
        select(AvailabilitySlot.recurrence_rule).where(AvailabilitySlot.consultant_user_id == who)
    )
    assert set(labels.scalars()) == {"FREQ=MONTHLY;BYDAY=1SA"}
    declare(db, ctx, who)
    assert rows(db, who, "available") == {}
    assert db.get(AvailabilityPlan, who) is None


def test_the_projection_remembers_its_horizon_and_the_zones_it_was_made_with(
    db: Session, ctx: Context
) -> None:
    row = builders.consultant(db)
    declare(db, ctx, row.consultant_user_id, weekly=OFFICE)
    noted = db.get_one(AvailabilityProjection, row.consultant_user_id)
    assert (noted.projected_until.isoformat(), noted.tzdata_version) == ("2027-05-30", tzdata_version())
    assert service.consultants_to_correct(db) == []
    noted.tzdata_version = "2026a"
    db.flush()
    assert service.consultants_to_correct(db) == [row.consultant_user_id]
    service.extend(db, ctx, row.consultant_user_id)
    db.expire_all()
    assert service.consultants_to_correct(db) == []


def test_a_rebuild_that_changes_nothing_writes_nothing(own_database: str) -> None:
    ctx = Context(now=NOW, actor="test", entry_point="sweep")
    with transaction() as db:
        who = builders.consultant(db, holiday_region="AT", time_zone="Europe/Vienna").consultant_user_id
        declare(db, ctx, who, weekly=OFFICE, overrides=[{"day": "2027-03-05"}])
        leave(db, ctx, who, "2027-03-09T12:00", "2027-03-11T00:00")
    written = text(
        "SELECT sum(pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)"
        "         + pg_stat_get_xact_tuples_deleted(oid))"
        "  FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    with transaction() as db:
        before = db.scalar(written)
        assert service.extend(db, ctx, who) == Projection(added=0, removed=0)
        assert db.scalar(written) == before
        service.extend(db, replace(ctx, now=NOW + timedelta(days=1)), who)
        assert db.scalar(written) == before + 3  # a window more, the horizon, and a look for those who wait


def test_leave_takes_time_and_gives_it_back(db: Session, ctx: Context) -> None:
    row = builders.consultant(db, time_zone="Europe/Vienna")
    who, leave_id = row.consultant_user_id, uuid4()
    declare(db, ctx, who, weekly=OFFICE)
    first = leave(db, ctx, who, "2027-03-27T00:00", "2027-03-29T00:00", leave_id=leave_id)
    assert first.result == "done"
    again = leave(db, ctx, who, "2027-03-27T00:00", "2027-03-29T00:00", leave_id=leave_id)
    assert again.result == "already_done"
    other = leave(db, ctx, who, "2027-03-27T00:00", "2027-03-30T00:00", leave_id=leave_id)
    assert (other.result, other.code) == ("refused", "leave_exists")
    span = datetime(2027, 3, 26, 23, tzinfo=UTC), datetime(2027, 3, 28, 22, tzinfo=UTC)  # 47 hours
    assert list(rows(db, who, "unavailable").values()) == [span]
    assert service.project(db, ctx, row) == Projection(0, 0)
    assert list(rows(db, who, "unavailable").values()) == [span]
    assert db.get_one(ConsultantLeave, leave_id).reason == "ill"
    back = RemoveLeave(message_id=uuid4(), actor="staff", leave_id=leave_id, consultant_user_id=who)
    assert service.remove_leave(db, ctx, back).result == "done"
    assert rows(db, who, "unavailable") == {}
    assert service.remove_leave(db, ctx, back).code == RefusalCode.UNKNOWN_LEAVE


def test_leaves_that_overlap_are_one_block_and_blocks_of_others_stay(db: Session, ctx: Context) -> None:
    row = builders.consultant(db)
    who = row.consultant_user_id
    theirs = AvailabilitySlot(
        consultant_user_id=who,
        status="unavailable",
        source="calendar:1",
        start_time=NOW + timedelta(days=1),
        end_time=NOW + timedelta(days=2),
    )
    db.add(theirs)
    db.flush()
    leave(db, ctx, who, "2027-03-02T00:00", "2027-03-04T00:00")
    leave(db, ctx, who, "2027-03-03T00:00", "2027-03-05T12:00")
    found = rows(db, who, "unavailable")
    assert found.pop(theirs.id) == (theirs.start_time, theirs.end_time)
    assert list(found.values()) == [(datetime(2027, 3, 2, tzinfo=UTC), datetime(2027, 3, 5, 12, tzinfo=UTC))]


def _block(db: Session, who: UUID, source: str) -> None:
    db.add(
        AvailabilitySlot(
            consultant_user_id=who,
            status="unavailable",
            source=source,
            start_time=NOW + timedelta(days=7, minutes=59),
            end_time=NOW + timedelta(days=8),
        )
    )
    db.flush()


@pytest.mark.parametrize("reason", ["hours", "holiday", "leave", "outside_calendar", "blocked", None])
def test_a_session_no_longer_covered_is_listed_with_its_reason_and_not_moved(
    db: Session, ctx: Context, reason: str | None
) -> None:
    # Monday 8 March, 09:00 to 10:00 UTC: a holiday in Russia
    session = builders.booked_session(db, start=NOW + timedelta(days=7))
    who = session.consultant_user_id
    row = db.get_one(Consultant, who)
    assert declare(db, ctx, who, weekly=OFFICE).uncovered == ()
    if reason == "hours":
        declare(db, ctx, who, weekly=[OFFICE[0] | {"end": "09:30"}])
    elif reason == "holiday":
        row.holiday_region = "RU"
        db.flush()
        service.extend(db, ctx, who)
    elif reason == "leave":
        leave(db, ctx, who, "2027-03-08T09:30", "2027-03-08T09:45")
    elif reason is not None:
        _block(db, who, {"blocked": "manual"}.get(reason, "calendar:somebody"))
    found = service.uncovered_sessions(db, ctx, who) or []
    assert [(one.session_id, one.reason) for one in found] == ([(session.id, reason)] if reason else [])
    assert session.scheduled_start_time == NOW + timedelta(days=7)


def test_a_session_that_has_begun_is_not_listed(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db, start=NOW - timedelta(minutes=1))
    assert declare(db, ctx, session.consultant_user_id).uncovered == ()


@pytest.mark.parametrize(
    ("hour", "offered"), [(time(1, 30), True), (time(2, 0), False), (time(2, 30), True), (time(3), True)]
)
def test_no_slot_is_offered_whose_wall_clock_is_outside_the_hours(
    db: Session, ctx: Context, hour: time, offered: bool
) -> None:
    """31 October 2027, Berlin, hours from 02:30: the clock shows 02:00 again at 01:00Z."""
    autumn = replace(ctx, now=datetime(2027, 10, 29, tzinfo=UTC))
    who = builders.consultant(db, time_zone="Europe/Berlin").consultant_user_id
    service_type = builders.service_type(db, default_duration_minutes=15, slot_step_minutes=15)
    declare(
        db,
        autumn,
        who,
        single=[
            {"day": "2027-10-31", "start": "01:30", "end": "02:00"},
            {"day": "2027-10-31", "start": "02:30", "end": "04:00"},
        ],
    )
    query = SearchSlots(
        service_type_id=service_type.id,
        consultant_user_ids=(who,),
        start=datetime(2027, 10, 30, 20, tzinfo=UTC),
        end=datetime(2027, 10, 31, 6, tzinfo=UTC),
    )
    starts = [
        one.start.astimezone(zone("Europe/Berlin")) for one in search.search_slots(db, autumn, query).starts
    ]
    assert (hour in {one.time() for one in starts}) is offered
    assert len(starts) == 2 + 2 + 6


def test_a_session_that_new_time_zones_uncover_is_reported_once(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db, start=NOW + timedelta(days=7, hours=8))  # Monday, 17:00 UTC
    who = session.consultant_user_id
    declare(db, ctx, who, weekly=OFFICE)
    rules = AvailabilitySlot.consultant_user_id == who, AvailabilitySlot.status == "available"
    hour = timedelta(hours=1)
    later = {"start_time": AvailabilitySlot.start_time + hour, "end_time": AvailabilitySlot.end_time + hour}
    db.execute(update(AvailabilitySlot).where(*rules).values(later))
    db.execute(text("UPDATE availability_projections SET tzdata_version = '2020a'"))
    db.expire_all()
    assert service.uncovered_sessions(db, ctx, who) == []  # as an older release of the zones had it

    service.extend(db, ctx, who)
    service.extend(db, ctx, who)

    [reported] = db.scalars(select(Event).where(Event.type == "session.uncovered"))
    assert (reported.scheduled_session_id, reported.reason) == (session.id, "hours")
    assert [one.session_id for one in service.uncovered_sessions(db, ctx, who) or []] == [session.id]
    assert session.scheduled_start_time == NOW + timedelta(days=7, hours=8)

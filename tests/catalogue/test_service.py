"""Service types and consultants' profiles: made, changed, left alone, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.catalogue import service
from booking_tasks.contracts import SetAvailability, UpsertConsultant, UpsertServiceType, WeeklyHours
from booking_tasks.hours import service as hours
from booking_tasks.identity import uuid7
from booking_tasks.models import AvailabilitySlot, Consultant, ServiceType
from booking_tasks.occasion import Occasion
from tests.builders import NOW, booked_session


def service_type(service_type_id: UUID, **values: Any) -> UpsertServiceType:
    given = {"name": "Algebra", "default_duration_minutes": 45} | values
    return UpsertServiceType(message_id=uuid4(), actor="staff", service_type_id=service_type_id, **given)


def consultant(user_id: UUID, **values: Any) -> UpsertConsultant:
    given = {"time_zone": "Europe/Vienna", "specializations": ["algebra", "geometry"]} | values
    return UpsertConsultant(message_id=uuid4(), actor="staff", consultant_user_id=user_id, **given)


def test_a_service_type_is_made_with_all_its_policies(db: Session, moment: Occasion) -> None:
    one = uuid7()
    command = service_type(
        one,
        description="Equations",
        slot_step_minutes=15,
        buffer_before_minutes=5,
        buffer_after_minutes=10,
        minimum_notice_minutes=120,
        horizon_days=30,
        requires_confirmation=True,
        is_active=False,
    )
    assert service.upsert_service_type(db, moment, command).result == "done"
    row = db.get_one(ServiceType, one)
    stored = {name: getattr(row, name) for name in type(command).model_fields if hasattr(row, name)}
    assert stored == command.model_dump(exclude={"message_id", "actor", "service_type_id"})
    assert (row.created_at, row.updated_at) == (NOW, None)


def test_the_same_service_type_again_changes_nothing(db: Session, moment: Occasion) -> None:
    one = uuid7()
    service.upsert_service_type(db, moment, service_type(one))
    again = service.upsert_service_type(db, replace(moment, now=NOW + timedelta(days=1)), service_type(one))
    assert (again.result, again.service_type_id) == ("already_done", one)
    assert db.get_one(ServiceType, one, populate_existing=True).updated_at is None


def test_a_changed_service_type_says_when(db: Session, moment: Occasion) -> None:
    one, later = uuid7(), NOW + timedelta(days=1)
    service.upsert_service_type(db, moment, service_type(one, description="Equations"))
    command = service_type(one, description=None, default_duration_minutes=60)
    assert service.upsert_service_type(db, replace(moment, now=later), command).result == "done"
    row = db.get_one(ServiceType, one, populate_existing=True)
    assert (row.description, row.default_duration_minutes) == (None, 60)
    assert (row.created_at, row.updated_at) == (NOW, later)


def test_a_name_belongs_to_one_service_type(db: Session, moment: Occasion) -> None:
    first, second = uuid7(), uuid7()
    service.upsert_service_type(db, moment, service_type(first, name="Algebra"))
    service.upsert_service_type(db, moment, service_type(second, name="Geometry"))
    for command in (service_type(uuid7(), name="Algebra"), service_type(second, name="Algebra")):
        answer = service.upsert_service_type(db, moment, command)
        assert (answer.result, answer.code, answer.errors[0].field) == ("refused", "name_taken", "name")
    assert db.get_one(ServiceType, second, populate_existing=True).name == "Geometry"


def test_a_consultants_profile_is_made_changed_and_left_alone(db: Session, moment: Occasion) -> None:
    one, later = uuid7(), replace(moment, now=NOW + timedelta(hours=1))
    assert service.upsert_consultant(db, moment, consultant(one)).result == "done"
    assert service.upsert_consultant(db, later, consultant(one)).result == "already_done"
    answer = service.upsert_consultant(
        db,
        later,
        consultant(one, specializations=["geometry"], is_available_for_booking=False, bio="Ten years"),
    )
    assert (answer.result, answer.consultant_user_id) == ("done", one)
    row = db.get_one(Consultant, one, populate_existing=True)
    assert (row.specializations, row.is_available_for_booking, row.bio) == (["geometry"], False, "Ten years")
    assert (row.time_zone, row.created_at, row.updated_at) == ("Europe/Vienna", NOW, later.now)


def test_hours_follow_the_consultant_into_another_zone(db: Session, moment: Occasion) -> None:
    one = uuid7()
    service.upsert_consultant(db, moment, consultant(one, time_zone="Europe/Vienna"))
    tuesdays = WeeklyHours(weekday=2, start=time(9), end=time(12))
    hours.set_availability(
        db,
        moment,
        SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(tuesdays,)),
    )
    first_window = select(AvailabilitySlot.start_time).where(AvailabilitySlot.consultant_user_id == one)
    first_window = first_window.order_by(AvailabilitySlot.start_time).limit(1)
    assert db.scalar(first_window) == datetime(2027, 3, 2, 8, 0, tzinfo=UTC)
    service.upsert_consultant(db, moment, consultant(one, time_zone="America/New_York"))
    assert db.scalar(first_window) == datetime(2027, 3, 2, 14, 0, tzinfo=UTC)


def test_sessions_that_another_zone_or_region_uncovers_are_listed(db: Session, moment: Occasion) -> None:
    session = booked_session(db, start=NOW + timedelta(days=7))
    one = session.consultant_user_id
    mondays = WeeklyHours(weekday=1, start=time(9), end=time(17))
    hours.set_availability(
        db,
        moment,
        SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(mondays,)),
    )
    moved = service.upsert_consultant(db, moment, consultant(one, time_zone="America/New_York"))
    assert [(row.session_id, row.reason) for row in moved.uncovered] == [(session.id, "hours")]
    back = service.upsert_consultant(db, moment, consultant(one, time_zone="UTC"))
    assert back.uncovered == ()
    off = service.upsert_consultant(db, moment, consultant(one, time_zone="UTC", holiday_region="RU"))
    assert [(row.session_id, row.reason) for row in off.uncovered] == [(session.id, "holiday")]


def test_an_unknown_region_is_refused_with_its_field(db: Session, moment: Occasion) -> None:
    outcome = service.upsert_consultant(db, moment, consultant(uuid7(), holiday_region="XX"))
    assert (outcome.result, outcome.code) == ("refused", "unknown_holiday_region")
    assert outcome.errors[0].field == "holiday_region"

"""Service types and consultants' profiles: made, changed, left alone, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.availability.store import aliases
from booking_tasks.catalogue import service
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AliasesOutcome,
    SetAvailability,
    SetSpecializationAliases,
    UpsertConsultant,
    UpsertServiceType,
    WeeklyHours,
)
from booking_tasks.enums import RefusalCode, Term
from booking_tasks.hours import service as hours
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, Consultant, ServiceType
from tests.builders import NOW, booked_session
from tests.concurrent_transactions import overtaken


def service_type(service_type_id: UUID, **values: Any) -> UpsertServiceType:
    fields: dict[str, Any] = {"name": "Algebra", "default_duration_minutes": 45} | values
    return UpsertServiceType(message_id=uuid4(), actor="staff", service_type_id=service_type_id, **fields)


def consultant(user_id: UUID, **values: Any) -> UpsertConsultant:
    fields = {"time_zone": "Europe/Vienna", "specializations": ["algebra", "geometry"]} | values
    return UpsertConsultant(message_id=uuid4(), actor="staff", consultant_user_id=user_id, **fields)


def test_a_service_type_is_made_with_all_its_policies(db: Session, ctx: Context) -> None:
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
    assert service.upsert_service_type(db, ctx, command).result == "done"
    row = db.get_one(ServiceType, one)
    stored = {name: getattr(row, name) for name in type(command).model_fields if hasattr(row, name)}
    assert stored == command.model_dump(exclude={"message_id", "actor", "service_type_id"})
    assert (row.created_at, row.updated_at) == (NOW, None)


def test_the_same_service_type_again_changes_nothing(db: Session, ctx: Context) -> None:
    one = uuid7()
    service.upsert_service_type(db, ctx, service_type(one))
    again = service.upsert_service_type(db, replace(ctx, now=NOW + timedelta(days=1)), service_type(one))
    assert (again.result, again.service_type_id) == ("already_done", one)
    assert db.get_one(ServiceType, one, populate_existing=True).updated_at is None


def test_a_changed_service_type_says_when(db: Session, ctx: Context) -> None:
    one, later = uuid7(), NOW + timedelta(days=1)
    service.upsert_service_type(db, ctx, service_type(one, description="Equations"))
    command = service_type(one, description=None, default_duration_minutes=60)
    assert service.upsert_service_type(db, replace(ctx, now=later), command).result == "done"
    row = db.get_one(ServiceType, one, populate_existing=True)
    assert (row.description, row.default_duration_minutes) == (None, 60)
    assert (row.created_at, row.updated_at) == (NOW, later)


def test_a_name_belongs_to_one_service_type(db: Session, ctx: Context) -> None:
    first, second = uuid7(), uuid7()
    service.upsert_service_type(db, ctx, service_type(first, name="Algebra"))
    service.upsert_service_type(db, ctx, service_type(second, name="Geometry"))
    for command in (service_type(uuid7(), name="Algebra"), service_type(second, name="Algebra")):
        answer = service.upsert_service_type(db, ctx, command)
        assert (answer.result, answer.code, answer.errors[0].field) == ("refused", "name_taken", "name")
    assert db.get_one(ServiceType, second, populate_existing=True).name == "Geometry"


def test_a_consultants_profile_is_made_changed_and_left_alone(db: Session, ctx: Context) -> None:
    one, later = uuid7(), replace(ctx, now=NOW + timedelta(hours=1))
    assert service.upsert_consultant(db, ctx, consultant(one)).result == "done"
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


def test_hours_follow_the_consultant_into_another_zone(db: Session, ctx: Context) -> None:
    one = uuid7()
    service.upsert_consultant(db, ctx, consultant(one, time_zone="Europe/Vienna"))
    tuesdays = WeeklyHours(weekday=2, start=time(9), end=time(12))
    hours.set_availability(
        db,
        ctx,
        SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(tuesdays,)),
    )
    first_window = select(AvailabilitySlot.start_time).where(AvailabilitySlot.consultant_user_id == one)
    first_window = first_window.order_by(AvailabilitySlot.start_time).limit(1)
    assert db.scalar(first_window) == datetime(2027, 3, 2, 8, 0, tzinfo=UTC)
    service.upsert_consultant(db, ctx, consultant(one, time_zone="America/New_York"))
    assert db.scalar(first_window) == datetime(2027, 3, 2, 14, 0, tzinfo=UTC)


def test_hours_follow_a_consultant_who_was_made_at_the_same_moment(own_database: str, ctx: Context) -> None:
    one = uuid7()
    tuesdays = WeeklyHours(weekday=2, start=time(9), end=time(12))
    declared = SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(tuesdays,))

    def made(db: Session) -> None:
        service.upsert_consultant(db, ctx, consultant(one, time_zone="Europe/Vienna"))
        hours.set_availability(db, ctx, declared)

    elsewhere = consultant(one, time_zone="America/New_York")
    overtaken(made, lambda db: service.upsert_consultant(db, ctx, elsewhere))

    with transaction() as db:
        found = select(AvailabilitySlot.start_time).where(AvailabilitySlot.consultant_user_id == one)
        first_window = db.scalar(found.order_by(AvailabilitySlot.start_time).limit(1))
    assert first_window == datetime(2027, 3, 2, 14, 0, tzinfo=UTC)


def test_sessions_that_another_zone_or_region_uncovers_are_listed(db: Session, ctx: Context) -> None:
    session = booked_session(db, start=NOW + timedelta(days=7))
    one = session.consultant_user_id
    mondays = WeeklyHours(weekday=1, start=time(9), end=time(17))
    hours.set_availability(
        db,
        ctx,
        SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(mondays,)),
    )
    moved = service.upsert_consultant(db, ctx, consultant(one, time_zone="America/New_York"))
    assert [(row.session_id, row.reason) for row in moved.uncovered] == [(session.id, "hours")]
    back = service.upsert_consultant(db, ctx, consultant(one, time_zone="UTC"))
    assert back.uncovered == ()
    off = service.upsert_consultant(db, ctx, consultant(one, time_zone="UTC", holiday_region="RU"))
    assert [(row.session_id, row.reason) for row in off.uncovered] == [(session.id, "holiday")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_available_for_booking": False}, "not_available_for_booking"),
        ({"service_type_ids": ()}, "service_not_offered"),
    ],
)
def test_sessions_of_a_consultant_who_offers_them_no_more_are_listed(
    db: Session, ctx: Context, change: dict[str, Any], reason: str
) -> None:
    session = booked_session(db, start=NOW + timedelta(days=7))
    one = session.consultant_user_id
    mondays = WeeklyHours(weekday=1, start=time(9), end=time(17))
    declared = SetAvailability(message_id=uuid4(), actor="staff", consultant_user_id=one, weekly=(mondays,))
    assert hours.set_availability(db, ctx, declared).uncovered == ()
    changed = service.upsert_consultant(db, ctx, consultant(one, time_zone="UTC", **change))
    assert [(row.session_id, row.reason) for row in changed.uncovered] == [(session.id, reason)]
    assert [row.reason for row in hours.uncovered_sessions(db, ctx, one) or ()] == [reason]
    back = service.upsert_consultant(db, ctx, consultant(one, time_zone="UTC"))
    assert back.uncovered == ()


def test_sessions_of_a_service_type_that_becomes_inactive_are_counted_and_listed(
    db: Session, ctx: Context
) -> None:
    session = booked_session(db, start=NOW + timedelta(days=7))
    row = db.get_one(ServiceType, session.consultation_service_type_id)
    withdrawn = service.upsert_service_type(db, ctx, service_type(row.id, name=row.name, is_active=False))
    assert withdrawn.sessions_ahead == 1
    listed = hours.uncovered_sessions(db, ctx, session.consultant_user_id) or ()
    assert [(row.session_id, row.reason) for row in listed] == [(session.id, "service_type_inactive")]


@pytest.mark.parametrize("days", [90, 91])
def test_a_horizon_for_which_no_hours_are_known_is_warned_of(db: Session, ctx: Context, days: int) -> None:
    outcome = service.upsert_service_type(db, ctx, service_type(uuid7(), horizon_days=days))
    assert outcome.result == "done"
    assert ("BOOKING_HORIZON (90 days)" in (outcome.message or "")) == (days == 91)


def test_the_name_of_an_inactive_service_type_is_refused_with_its_id(db: Session, ctx: Context) -> None:
    one = uuid7()
    service.upsert_service_type(db, ctx, service_type(one, name="Algebra", is_active=False))
    outcome = service.upsert_service_type(db, ctx, service_type(uuid7(), name="Algebra"))
    assert outcome.code == RefusalCode.NAME_TAKEN
    assert outcome.message == (
        f"name belongs to the inactive service type {one}; give that one another name first,"
        " or make it active again"
    )


def test_an_unknown_region_is_refused_with_its_field(db: Session, ctx: Context) -> None:
    outcome = service.upsert_consultant(db, ctx, consultant(uuid7(), holiday_region="XX"))
    assert (outcome.result, outcome.code) == ("refused", "unknown_holiday_region")
    assert outcome.errors[0].field == "holiday_region"


# -- what the assignment goes by ----------------------------------------


def test_weights_of_a_service_type_are_stored_as_sent_and_may_not_all_be_zero(
    db: Session, ctx: Context
) -> None:
    one = uuid7()
    service.upsert_service_type(db, ctx, service_type(one, assignment_weights={"earliest": 50}))
    assert db.get_one(ServiceType, one).assignment_weights == {"earliest": 50}
    nothing = dict.fromkeys(Term, 0)
    refused = service.upsert_service_type(db, ctx, service_type(one, assignment_weights=nothing))
    assert (refused.code, refused.errors[0].field) == ("contradictory_weights", "assignment_weights")


@pytest.mark.parametrize("weights", [{"earliest": -1}, {"speed": 1}])
def test_negative_and_unknown_weights_never_come_in(weights: dict[str, int]) -> None:
    with pytest.raises(ValidationError) as caught:
        service_type(uuid7(), assignment_weights=weights)
    assert caught.value.errors()[0]["loc"] == ("assignment_weights", next(iter(weights)))


def test_a_profile_says_what_is_offered_and_for_whom(db: Session, ctx: Context) -> None:
    service_type_id, who, company = uuid7(), uuid7(), uuid4()
    service.upsert_service_type(db, ctx, service_type(service_type_id))
    fields = {
        "service_type_ids": [service_type_id],
        "company_ids": [company],
        "languages": ["de-AT"],
        "assignment_weight": "0.5",
        "assignment_capacity": 3,
        "priority_tier": 1,
    }
    assert service.upsert_consultant(db, ctx, consultant(who, **fields)).result == "done"
    row = db.get_one(Consultant, who)
    assert (row.service_type_ids, row.company_ids, row.languages) == ([service_type_id], [company], ["de-AT"])
    assert (row.assignment_weight, row.assignment_capacity, row.priority_tier) == (Decimal("0.5"), 3, 1)
    assert service.upsert_consultant(db, ctx, consultant(who, **fields)).result == "already_done"
    unknown = service.upsert_consultant(db, ctx, consultant(who, service_type_ids=[uuid4()]))
    assert (unknown.code, unknown.errors[0].field) == ("unknown_service_type", "service_type_ids")


def _aliases(db: Session, ctx: Context, *pairs: tuple[str, str]) -> AliasesOutcome:
    aliases = [{"alias": alias, "specialization": meant} for alias, meant in pairs]
    command = SetSpecializationAliases.model_validate(
        {"message_id": uuid4(), "actor": "staff", "aliases": aliases}
    )
    return service.set_specialization_aliases(db, ctx, command)


def test_aliases_are_replaced_as_a_whole_and_mean_the_same_in_any_case(db: Session, ctx: Context) -> None:
    assert _aliases(db, ctx, ("Maths", "Mathematics"), ("MATH", "mathematics")).count == 2
    assert aliases(db, ["math", "MATHS", "law"]) == {"math": "mathematics", "maths": "mathematics"}
    assert _aliases(db, ctx, ("math", "mathematics"), ("maths", "mathematics")).result == "already_done"
    assert _aliases(db, ctx, ("jus", "law")).result == "done"
    assert aliases(db, ["maths", "jus"]) == {"jus": "law"}
    assert _aliases(db, ctx).count == 0


@pytest.mark.parametrize(
    "pairs",
    [
        [("law", "LAW")],
        [("jus", "law"), ("JUS", "justice")],
        [("jus", "law"), ("law", "justice")],
        [("jus", "law"), ("law", "jus")],
    ],
)
def test_aliases_that_lead_nowhere_or_to_two_are_refused(
    db: Session, ctx: Context, pairs: list[tuple[str, str]]
) -> None:
    _aliases(db, ctx, ("maths", "mathematics"))
    refused = _aliases(db, ctx, *pairs)
    assert (refused.code, refused.errors[0].field) == ("contradictory_aliases", "aliases")
    assert aliases(db, ["maths"]) == {"maths": "mathematics"}


def test_a_consultants_limits_are_stored_and_taken_away(db: Session, ctx: Context) -> None:
    one = uuid7()
    limits = {
        "max_sessions_per_day": 4,
        "max_sessions_per_week": 15,
        "max_minutes_per_day": 240,
        "max_minutes_per_week": 900,
    }
    for fields, stored in ((limits, limits), ({}, dict.fromkeys(limits))):
        assert service.upsert_consultant(db, ctx, consultant(one, **fields)).result == "done"
        row = db.get_one(Consultant, one, populate_existing=True)
        assert {name: getattr(row, name) for name in limits} == stored
        assert service.upsert_consultant(db, ctx, consultant(one, **fields)).result == "already_done"
    for wrong in (0, 20_001):
        with pytest.raises(ValidationError, match="max_minutes_per_week"):
            consultant(one, max_minutes_per_week=wrong)

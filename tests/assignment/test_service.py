"""Who takes a request, and the stored reason for everyone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.models import AssignmentDecision, AvailabilitySlot, ScheduledSession
from tests import builders
from tests.builders import NOW

TOMORROW = NOW + timedelta(days=1)


def decision(db: Session, request_id: UUID) -> AssignmentDecision:
    return db.execute(
        select(AssignmentDecision).where(AssignmentDecision.consultation_request_id == request_id)
    ).scalar_one()


def test_a_fitting_consultant_is_booked_at_the_earliest_time_and_the_reasons_are_stored(
    db: Session, ctx: Context
) -> None:
    service_type = builders.service_type(db)
    chosen = builders.consultant(db, specializations=["Algebra"]).consultant_user_id
    unskilled = builders.consultant(db, specializations=["law"]).consultant_user_id
    absent = builders.consultant(db, is_available_for_booking=False).consultant_user_id
    full = builders.consultant(db).consultant_user_id
    for who in (chosen, unskilled, absent):
        builders.window(db, who, TOMORROW)
    request = builders.request(db, service_type.id, required_specializations=["algebra"])
    taken = service.assign(db, ctx, request.id)
    assert taken == service.Assignment(
        service.AssignmentResult.SCHEDULED, chosen, start=TOMORROW, end=TOMORROW + timedelta(hours=1)
    )
    session = db.get_one(ScheduledSession, request.scheduled_session_id)
    assert (session.scheduled_start_time, session.consultant_user_id) == (TOMORROW, chosen)
    stored = decision(db, request.id)
    assert stored.consultant_user_id == chosen
    assert {UUID(one["consultant_user_id"]): one["rejected"] for one in stored.candidates} == {
        chosen: None,
        unskilled: "missing_specialization",
        absent: "not_available_for_booking",
        full: "no_free_time",
    }


def test_the_whole_session_lies_inside_the_preferred_window(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW)
    start = TOMORROW + timedelta(hours=3)
    fits = builders.request(
        db, service_type.id, preferred_start_time=start, preferred_end_time=start + timedelta(hours=1)
    )
    short = builders.request(
        db, service_type.id, preferred_start_time=start, preferred_end_time=start + timedelta(minutes=59)
    )
    assert service.assign(db, ctx, fits.id).result == "scheduled"
    assert db.get_one(ScheduledSession, fits.scheduled_session_id).scheduled_start_time == start
    assert service.assign(db, ctx, short.id).reason == "no_free_time"


def test_a_preferred_consultant_comes_first_and_another_serves_when_they_cannot(
    db: Session, ctx: Context
) -> None:
    service_type = builders.service_type(db, default_duration_minutes=480)
    preferred, other = (builders.consultant(db).consultant_user_id for _ in range(2))
    for who in (preferred, other):
        builders.window(db, who, TOMORROW)
    first, second = (
        builders.request(db, service_type.id, preferred_consultant_user_id=preferred) for _ in range(2)
    )
    assert service.assign(db, ctx, first.id).consultant_user_id == preferred
    assert service.assign(db, ctx, second.id).consultant_user_id == other


def test_a_waiting_request_keeps_its_reason_and_is_served_once_time_is_free(
    db: Session, ctx: Context
) -> None:
    service_type = builders.service_type(db, waiting_list="book")
    who = builders.consultant(db).consultant_user_id
    request = builders.request(db, service_type.id)
    assert service.assign(db, ctx, request.id).reason == "no_free_time"
    assert service.assign(db, ctx, request.id).reason == "no_free_time"
    assert (request.status, request.status_reason) == ("pending_assignment", "no_free_time")
    assert decision(db, request.id).reason == "no_free_time"  # one row: nothing changed in between
    assert service.waiting_request_ids(db, ctx) == [request.id]
    builders.window(db, who, TOMORROW)
    assert service.assign(db, ctx, request.id).result == "scheduled"
    assert service.waiting_request_ids(db, ctx) == []
    assert service.assign(db, ctx, request.id).result == "nothing"


def test_a_request_written_by_another_service_is_looked_at_too(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    request = builders.request(db, service_type.id, deadline_at=None)
    assert service.waiting_request_ids(db, ctx) == [request.id]
    service.assign(db, ctx, request.id)
    assert request.deadline_at == NOW + ctx.policies.assignment_deadline


def test_nobody_is_assigned_to_their_own_request(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    who = builders.consultant(db).consultant_user_id
    builders.window(db, who, TOMORROW)
    request = builders.request(db, service_type.id, requester_user_id=who)
    assert service.assign(db, ctx, request.id).reason == "no_consultant"


def test_a_requester_with_another_session_gets_the_next_time(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    for _ in range(2):
        builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW)
    requester = uuid4()
    first, second = (builders.request(db, service_type.id, requester_user_id=requester) for _ in range(2))
    service.assign(db, ctx, first.id)
    service.assign(db, ctx, second.id)
    starts = [
        db.get_one(ScheduledSession, one.scheduled_session_id).scheduled_start_time for one in (first, second)
    ]
    assert starts == [TOMORROW, TOMORROW + timedelta(hours=1)]


@pytest.mark.parametrize("same_message", [True, False])
def test_rival_workers_assign_each_request_once(own_database: str, same_message: bool) -> None:
    ctx = Context(now=NOW, actor="rival", entry_point="sweep")
    with transaction() as db:
        service_type = builders.service_type(db)
        for _ in range(3):
            builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW, hours=3)
        requests = [builders.request(db, service_type.id).id for _ in range(4)]
    work = requests * 3 if same_message else requests
    gate = threading.Barrier(len(work))

    def evaluate(request_id: UUID) -> str:
        gate.wait(30)
        with transaction() as db:
            return service.assign(db, ctx, request_id).result

    with ThreadPoolExecutor(len(work)) as pool:
        results = list(pool.map(evaluate, work))
    assert results.count("scheduled") == 4
    with transaction() as db:
        booked = db.execute(
            select(AvailabilitySlot.consultation_request_id).where(AvailabilitySlot.status == "booked")
        )
        assert sorted(map(str, booked.scalars())) == sorted(map(str, requests))


@pytest.fixture(autouse=True)
def _wide_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_DATABASE_POOL_SIZE", "20")


@pytest.mark.parametrize("result", ["scheduled", "confirmation_requested"])
def test_who_waited_and_was_served_keeps_no_reason(db: Session, ctx: Context, result: str) -> None:
    service_type = builders.service_type(
        db, requires_confirmation=result == "confirmation_requested", waiting_list="book"
    )
    request = builders.request(db, service_type.id)
    assert service.assign(db, ctx, request.id).reason == request.status_reason == "no_consultant"
    builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW)
    assert service.assign(db, ctx, request.id).result == result
    assert request.status_reason is None


def test_confirmation_is_never_requested_for_a_start_that_is_now(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, requires_confirmation=True)
    builders.window(db, builders.consultant(db).consultant_user_id, NOW)
    request = builders.request(db, service_type.id)
    assert service.assign(db, ctx, request.id).result == "confirmation_requested"
    held = db.scalars(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).one()
    assert held.session_start_time == held.held_until == NOW + timedelta(minutes=30)


def test_a_requester_who_is_busy_for_hours_still_gets_the_first_time_after(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, slot_step_minutes=5)
    builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW)
    busy = builders.booked_session(db, TOMORROW, minutes=240)
    request = builders.request(db, service_type.id, requester_user_id=busy.requester_user_id)
    assert service.assign(db, ctx, request.id).result == "scheduled"
    session = db.scalars(
        select(ScheduledSession).where(ScheduledSession.consultation_request_id == request.id)
    ).one()
    assert session.scheduled_start_time == busy.scheduled_end_time


def test_a_requester_who_is_always_busy_is_the_reason(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    builders.window(db, builders.consultant(db).consultant_user_id, TOMORROW, hours=2)
    busy = builders.booked_session(db, TOMORROW, minutes=120)
    request = builders.request(db, service_type.id, requester_user_id=busy.requester_user_id)
    assert service.assign(db, ctx, request.id).reason == "requester_busy"

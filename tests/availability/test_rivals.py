"""Many at once: the database refuses a double booking, whoever writes."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.availability import service
from booking_tasks.availability.service import Refusal
from booking_tasks.availability.store import free_starts_by_consultant
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.models import (
    AvailabilitySlot,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    ServiceType,
)
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.builders import NOW
from tests.invariants import ALWAYS

MOMENT = Context(now=NOW, actor="rival", entry_point="booking")
RIVALS = 50
_BY_HAND = text(
    "INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, status,"
    " consultation_request_id, scheduled_session_id, requester_user_id, session_start_time,"
    " session_end_time)"
    " VALUES (:who, :start, :end, 'booked', :request, :session, :requester, :start, :end)"
)

_WITHOUT_BOOKING = text("DELETE FROM consultant_availability_slots WHERE scheduled_session_id = :session")
_MOVED = text(
    "UPDATE scheduled_sessions SET scheduled_start_time = :start, scheduled_end_time = :end,"
    " consultant_user_id = :who, requester_user_id = :requester WHERE id = :session"
)


def book_by_hand(db: Session, values: dict[str, Any]) -> None:
    """Move a session to another booking, by statements that only the constraint of the place can refuse."""
    for statement in (_WITHOUT_BOOKING, _MOVED, _BY_HAND):
        db.execute(statement, values)


def opened_day(consultants: int = 1) -> tuple[UUID, list[UUID]]:
    """A service type in steps of five minutes, and consultants with eight hours."""
    with transaction() as db:
        service_type = builders.service_type(db, slot_step_minutes=5, buffer_after_minutes=5)
        who = [builders.consultant(db).consultant_user_id for _ in range(consultants)]
        for one in who:
            builders.window(db, one, NOW + timedelta(days=1))
        return service_type.id, who


def book_at_once(service_type: UUID, attempts: list[tuple[UUID, timedelta, UUID]]) -> Counter[str]:
    """Each attempt (consultant, offset, requester) in its own connection, all released together."""
    with transaction() as db:
        requests = [
            builders.request(db, service_type, requester_user_id=requester).id for _, _, requester in attempts
        ]
    gate = threading.Barrier(len(attempts))

    def attempt(index: int) -> str:
        who, offset, _ = attempts[index]
        start = NOW + timedelta(days=1) + offset
        gate.wait(30)
        with transaction() as db:
            request = db.get_one(ConsultationRequest, requests[index])
            agreed = sessions.schedule(db, MOMENT, request, who, start, start + timedelta(hours=1))
            return agreed.code if isinstance(agreed, Refusal) else "booked"

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(attempt, range(len(attempts))))


@pytest.fixture(autouse=True)
def _wide_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_DATABASE_POOL_SIZE", str(RIVALS))


def test_of_fifty_overlapping_reservations_exactly_one_commits(own_database: str) -> None:
    service_type, [who] = opened_day()
    offsets = [timedelta(minutes=5 * (index % 12)) for index in range(RIVALS)]
    results = book_at_once(service_type, [(who, offset, uuid4()) for offset in offsets])
    assert results == {"booked": 1, "slot_taken": RIVALS - 1}
    with transaction() as db:
        left = {
            model.__tablename__: db.scalar(select(func.count()).select_from(model))
            for model in (ScheduledSession, Event)
        }
        reservations = db.scalar(select(func.count()).where(AvailabilitySlot.status.in_(("held", "booked"))))
        provisioned = db.scalar(select(func.count()).where(Job.job_type == "provision_meeting"))
        scheduled = db.scalar(select(func.count()).where(ConsultationRequest.status == "scheduled"))
    assert (left, reservations, provisioned, scheduled) == ({"scheduled_sessions": 1, "events": 1}, 1, 1, 1)


def test_as_many_free_consultants_at_one_start_make_exactly_as_many_bookings(own_database: str) -> None:
    service_type, consultants = opened_day(consultants=10)
    attempts = [(who, timedelta(0), uuid4()) for who in consultants for _ in range(3)]
    assert book_at_once(service_type, attempts) == {"booked": 10, "slot_taken": 20}


def test_a_length_that_changes_all_the_time_never_books_past_a_window(
    own_database: str,
) -> None:
    """What a start is judged by and how long it becomes are one policy, whenever another is set."""
    count, half_an_hour = 400, timedelta(minutes=30)
    with transaction() as db:
        service_type = builders.service_type(db, slot_step_minutes=5, default_duration_minutes=60).id
        who = [builders.consultant(db).consultant_user_id for _ in range(count)]
        for one in who:
            builders.window(db, one, NOW + timedelta(days=1), hours=0.5)
        requests = [builders.request(db, service_type).id for _ in who]
    over = threading.Event()

    def change() -> None:
        minutes = 60
        while not over.is_set():
            minutes = 90 - minutes
            with transaction() as db:
                db.get_one(ServiceType, service_type).default_duration_minutes = minutes

    def book(index: int) -> str:
        start = NOW + timedelta(days=1)
        with transaction() as db:
            request = db.get_one(ConsultationRequest, requests[index])
            agreed = sessions.schedule(db, MOMENT, request, who[index], start, start + 2 * half_an_hour)
            return agreed.code if isinstance(agreed, Refusal) else "booked"

    with ThreadPoolExecutor(5) as pool:
        changing = pool.submit(change)
        results = Counter(pool.map(book, range(count)))
        over.set()
        changing.result(30)

    assert results.keys() == {"booked", "slot_not_free"}
    with transaction() as db:
        length = ScheduledSession.scheduled_end_time - ScheduledSession.scheduled_start_time
        assert set(db.scalars(select(length))) == {half_an_hour}


def test_one_requester_is_booked_once_whoever_serves_them(own_database: str) -> None:
    service_type, consultants = opened_day(consultants=20)
    requester = uuid4()
    attempts = [
        (who, timedelta(minutes=5 * (place % 10)), requester) for place, who in enumerate(consultants)
    ]
    assert book_at_once(service_type, attempts) == {"booked": 1, "requester_busy": 19}


def test_two_consultants_who_book_each_other_at_once_get_one_session(own_database: str) -> None:
    """Neither waits for the other for ever, and neither is in two places."""
    service_type, people = opened_day(consultants=10)
    pairs = [(people[place], people[place + 1]) for place in range(0, len(people), 2)]
    attempts = [
        (consultant, timedelta(minutes=5 * number), requester)
        for number in range(3)
        for one, other in pairs
        for consultant, requester in ((one, other), (other, one))
    ]
    results = book_at_once(service_type, attempts)
    assert results["booked"] == len(pairs)
    assert results.keys() <= {"booked", "requester_busy", "slot_taken"}
    with transaction() as db:
        assert db.execute(text(ALWAYS["somebody serves a session and attends another one"])).all() == []


def test_a_consultant_is_not_offered_or_held_where_they_are_a_requester(own_database: str) -> None:
    service_type, [who, colleague] = opened_day(consultants=2)
    start, hour = NOW + timedelta(days=1), timedelta(hours=1)
    assert book_at_once(service_type, [(colleague, hour, who)]) == {"booked": 1}
    with transaction() as db:
        found = free_starts_by_consultant(db, [who], service_type, start, start + 4 * hour, NOW)
        offered = {(begin - start) / hour for begin, _ in found[who]}
        assert min(offered) == 2  # the buffer behind their own session would reach into the other one
        refused = service.hold_start(
            db, MOMENT, builders.request(db, service_type), who, start + 1.5 * hour, NOW + hour
        )
        assert refused == Refusal("slot_taken")


def test_an_overlap_written_by_hand_is_refused_by_the_database(own_database: str) -> None:
    service_type, [who] = opened_day()
    assert book_at_once(service_type, [(who, timedelta(0), uuid4())]) == {"booked": 1}
    start = NOW + timedelta(days=1, minutes=64)  # inside the buffer alone
    with transaction() as db:
        values = {
            "who": who,
            "start": start,
            "end": start + timedelta(hours=1),
            "request": builders.request(db, service_type).id,
            "session": builders.booked_session(db).id,
            "requester": uuid4(),
        }
    with pytest.raises(IntegrityError, match="ex_occupied_times_person"), transaction() as db:
        book_by_hand(db, values)
    with transaction() as db:
        later = values | {"start": start + timedelta(minutes=1)}
        book_by_hand(db, later)


@pytest.mark.parametrize("same", ["consultant", "requester"])
def test_what_is_held_is_refused_to_all_others_by_the_database(own_database: str, same: str) -> None:
    service_type, [who, colleague] = opened_day(consultants=2)
    start = NOW + timedelta(days=1)
    with transaction() as db:
        request = builders.request(db, service_type)
        held = service.hold_start(db, MOMENT, request, who, start, NOW + timedelta(minutes=9))
        assert not isinstance(held, Refusal)
        values = {
            "who": who if same == "consultant" else colleague,
            "start": start,
            "end": start + timedelta(hours=1),
            "request": builders.request(db, service_type).id,
            "session": builders.booked_session(db).id,
            "requester": request.requester_user_id if same == "requester" else uuid4(),
        }
    with pytest.raises(IntegrityError, match="ex_occupied_times_person"), transaction() as db:
        book_by_hand(db, values)


def test_a_dead_hold_is_taken_over_by_one_of_many_with_every_sweeper_dead(own_database: str) -> None:
    service_type, [who] = opened_day()
    start = NOW + timedelta(days=1)
    with transaction() as db:
        held = service.hold_start(
            db, MOMENT, builders.request(db, service_type), who, start, NOW + timedelta(minutes=1)
        )
        assert not isinstance(held, Refusal)
    later = NOW + timedelta(minutes=2)
    with transaction() as db:
        requests = [builders.request(db, service_type).id for _ in range(20)]
    gate = threading.Barrier(20)

    def take_over(request_id: UUID) -> str:
        gate.wait(30)
        with transaction() as db:
            request = db.get_one(ConsultationRequest, request_id)
            ctx = Context(now=later, actor="rival", entry_point="booking")
            taken = service.hold_start(db, ctx, request, who, start, later + timedelta(minutes=5))
            return taken.code if isinstance(taken, Refusal) else "held"

    with ThreadPoolExecutor(20) as pool:
        results = Counter(pool.map(take_over, requests))
    assert results == {"held": 1, "slot_taken": 19}


def test_the_last_place_of_a_day_is_taken_once_through_whatever_service_type(own_database: str) -> None:
    with transaction() as db:
        who = builders.consultant(db, max_sessions_per_day=2).consultant_user_id
        service_types = [builders.service_type(db).id for _ in range(2)]
        builders.window(db, who, NOW + timedelta(days=1))
        first = builders.request(db, service_types[0])
        taken = service.hold_start(db, MOMENT, first, who, NOW + timedelta(days=1), NOW + timedelta(days=1))
        assert not isinstance(taken, Refusal)
        requests = [builders.request(db, service_types[place % 2]).id for place in range(6)]
    gate = threading.Barrier(len(requests))

    def attempt(place: int) -> str:
        start = NOW + timedelta(days=1, hours=1 + place)
        gate.wait(30)
        with transaction() as db:
            request = db.get_one(ConsultationRequest, requests[place])
            agreed = sessions.schedule(db, MOMENT, request, who, start, start + timedelta(hours=1))
            return agreed.code if isinstance(agreed, Refusal) else "booked"

    with ThreadPoolExecutor(len(requests)) as pool:
        results = Counter(pool.map(attempt, range(len(requests))))
    assert results == {"booked": 1, "limit_reached": 5}

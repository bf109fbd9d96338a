"""Searching, holding and booking time: all under one consultant's lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import store
from booking_tasks.availability.rules import has_specializations
from booking_tasks.contracts import FreeStart, SearchOutcome, SearchSlots
from booking_tasks.identity import uuid7
from booking_tasks.models import AvailabilitySlot, Consultant, ConsultationRequest, ServiceType
from booking_tasks.occasion import Occasion

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Taken:
    """A piece of time is the caller's: the fact's id and the session's own span."""

    slot_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True)
class NotTaken:
    """Nobody's time was touched. `slot_not_free`: not offered; `slot_taken`: lost to another;

    `requester_busy`: the requester has something else at that time.
    """

    code: str


def expire_holds(db: Session, occasion: Occasion, limit: int = 500) -> int:
    """Tidy holds whose time is over; how many."""
    return store.delete_expired_holds(db, occasion.now, limit)


def search_slots(db: Session, occasion: Occasion, query: SearchSlots) -> SearchOutcome:
    """What can be booked; when nothing, why."""
    kind = store.service_type(db, query.service_type_id)
    if kind is None or not kind.is_active:
        return SearchOutcome(result="refused", code="unknown_service_type")
    everyone = store.bookable_consultants(db, query.consultant_user_ids)
    skilled = [
        one.consultant_user_id
        for one in everyone
        if has_specializations(one.specializations, query.required_specializations)
    ]
    rows = store.free_starts(db, skilled, kind.id, query.start, query.end, occasion.now, query.limit)
    if rows:
        return SearchOutcome(
            result="done",
            starts=tuple(
                FreeStart(consultant_user_id=who, start=start.astimezone(UTC), end=end.astimezone(UTC))
                for who, start, end in rows
            ),
        )
    return SearchOutcome(result="done", nothing_because=_why_nothing(db, query, everyone, skilled))


def _why_nothing(db: Session, query: SearchSlots, everyone: list[Consultant], skilled: list[UUID]) -> str:
    if not everyone:
        return "no_consultant"
    if not skilled:
        return "no_skill"
    return "all_taken" if store.has_windows(db, skilled, query.start, query.end) else "no_hours"


def hold(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    until: datetime,
) -> Taken | NotTaken:
    """Reserve a start for one request until a moment. Locks the consultant, then the requester."""
    return _take(
        db, occasion, request, consultant_user_id, start,
        {"status": "held", "source": "hold", "held_until": until, "hold_token": uuid7()},
    )  # fmt: skip


def book(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    session_id: UUID,
) -> Taken | NotTaken:
    """Take a start for a session; a booking that this session already has gives way to the new one."""
    return _take(
        db, occasion, request, consultant_user_id, start,
        {"status": "booked", "source": "session", "scheduled_session_id": session_id},
    )  # fmt: skip


def _take(
    db: Session,
    occasion: Occasion,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    fact: dict[str, object],
) -> Taken | NotTaken:
    """The one way to take time: lock, look again, insert under the constraints. All or nothing."""
    kind = store.service_type(db, request.consultation_service_type_id)
    if kind is None or store.lock_consultant(db, consultant_user_id) is None:
        return NotTaken("slot_not_free")
    session_id = fact.get("scheduled_session_id")
    own = session_id if isinstance(session_id, UUID) else None
    offered = store.free_starts(
        db, [consultant_user_id], kind.id, start, start + _INSTANT, occasion.now, 1, ignored_session=own
    )
    span = _buffered(kind, start)
    if not offered:
        lost = store.has_live_fact(db, consultant_user_id, *span, occasion.now, ignored_session=own)
        return NotTaken("slot_taken" if lost else "slot_not_free")
    store.lock_requester(db, request.requester_user_id)
    savepoint = db.begin_nested()
    if own is not None:
        store.delete_booking(db, own)
    store.delete_expired_holds_in_the_way(
        db, consultant_user_id, request.requester_user_id, *span, occasion.now
    )
    end = start + timedelta(minutes=kind.default_duration_minutes)
    slot_id = store.inserted_fact(
        db,
        consultant_user_id=consultant_user_id,
        start_time=span[0],
        end_time=span[1],
        consultation_request_id=request.id,
        requester_user_id=request.requester_user_id,
        session_start_time=start,
        session_end_time=end,
        **fact,
    )
    if slot_id is not None:
        savepoint.commit()
        return Taken(slot_id, start, end)
    busy = store.requester_is_busy(db, request.requester_user_id, start, end)
    savepoint.rollback()
    return NotTaken("requester_busy" if busy else "slot_taken")


def _buffered(kind: ServiceType, start: datetime) -> tuple[datetime, datetime]:
    return (
        start - timedelta(minutes=kind.buffer_before_minutes),
        start + timedelta(minutes=kind.default_duration_minutes + kind.buffer_after_minutes),
    )


def book_held(
    db: Session, occasion: Occasion, request: ConsultationRequest, session_id: UUID
) -> Taken | NotTaken:
    """Turn a request's live hold into a booking of the same span. Code when not: `hold_expired`."""
    held = _locked_hold(db, request.id)
    if held is None or held.held_until is None or held.held_until <= occasion.now:
        return NotTaken("hold_expired")
    savepoint = db.begin_nested()
    store.delete_hold(db, held)
    slot_id = store.inserted_fact(
        db,
        consultant_user_id=held.consultant_user_id,
        start_time=held.start_time,
        end_time=held.end_time,
        consultation_request_id=request.id,
        requester_user_id=request.requester_user_id,
        session_start_time=held.session_start_time,
        session_end_time=held.session_end_time,
        status="booked",
        source="session",
        scheduled_session_id=session_id,
    )
    if slot_id is None or held.session_start_time is None or held.session_end_time is None:
        savepoint.rollback()
        return NotTaken("slot_taken")
    savepoint.commit()
    return Taken(slot_id, held.session_start_time, held.session_end_time)


def release_hold(db: Session, request_id: UUID) -> bool:
    """Give a request's hold back; False when it has none. Locks the consultant."""
    held = _locked_hold(db, request_id)
    return held is not None and store.delete_hold(db, held)


def held_slot(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """The request's hold, live or not, for reading."""
    return store.hold_of_request(db, request_id)


def _locked_hold(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """The request's hold, read again after its consultant was locked."""
    found = store.hold_of_request(db, request_id)
    if found is None:
        return None
    store.lock_consultant(db, found.consultant_user_id)
    return store.hold_of_request(db, request_id)


def free_booking(db: Session, consultant_user_id: UUID, session_id: UUID) -> None:
    """Give a session's time back. Locks the consultant."""
    store.lock_consultant(db, consultant_user_id)
    store.delete_booking(db, session_id)

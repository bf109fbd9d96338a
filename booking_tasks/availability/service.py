"""Searching, holding and booking time: all under one consultant's lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import store
from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, ConsultationRequest
from booking_tasks.outbox.capacity_released import record_capacity_released


@dataclass(frozen=True)
class Taken:
    """A piece of time is the caller's: the fact's id and the session's own span."""

    slot_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True)
class NotTaken:
    """Nobody's time was touched. `slot_not_free`: not offered; `slot_taken`: lost to another;

    `requester_busy`: the requester has something else at that time; `notice_too_short`,
    `beyond_horizon`, `limit_reached`: the policy of this kind of consultation and consultant.
    """

    code: str


def expire_holds(db: Session, ctx: Context, limit: int = 500) -> int:
    """Tidy holds whose time is over; how many."""
    freed = store.delete_expired_holds(db, ctx.now, limit)
    record_capacity_released(db, ctx, freed, "hold_over")
    return len(freed)


def free_time(
    db: Session,
    ctx: Context,
    start: datetime,
    end: datetime,
    consultants: Sequence[UUID] = (),
    service_type_id: UUID | None = None,
) -> dict[UUID, store.Spans]:
    """What is free from `start` until `end`, of these consultants or of all who take bookings.

    The pieces of their hours, or every session of one kind that could begin then.
    """
    whose = consultants or store.all_bookable(db)
    if service_type_id is None:
        return store.free_pieces_of_each(db, whose, start, end, ctx.now)
    return store.free_starts_of_each(db, whose, service_type_id, start, end, ctx.now)


def hold(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    until: datetime,
    token: UUID | None = None,
) -> Taken | NotTaken:
    """Reserve a start for one request until a moment, by a token or one of its own.

    Locks the consultant, then the requester.
    """
    return _take(
        db,
        ctx,
        request,
        consultant_user_id,
        start,
        {"status": "held", "source": "hold", "held_until": until, "hold_token": token or uuid7()},
    )


def book(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    session_id: UUID,
) -> Taken | NotTaken:
    """Take a start for a session; a booking that this session already has gives way to the new one."""
    return _take(
        db,
        ctx,
        request,
        consultant_user_id,
        start,
        {"status": "booked", "source": "session", "scheduled_session_id": session_id},
    )


def _take(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    fact: dict[str, Any],
) -> Taken | NotTaken:
    """The one way to take time: the database locks, looks again and inserts. All or nothing."""
    slot_id = uuid7()
    refusal, end = store.reserved(
        db, slot_id, request, consultant_user_id=consultant_user_id, start=start, now=ctx.now, **fact
    )
    if end is None:
        return NotTaken(refusal or "slot_not_free")
    return Taken(slot_id, start, end)


def prolong_hold(db: Session, ctx: Context, request_id: UUID, until: datetime) -> bool:
    """Let a request's hold live until another moment; False when it is over. Locks the consultant."""
    held = _locked_hold(db, request_id)
    if held is None or held.held_until is None or held.held_until <= ctx.now:
        return False
    held.held_until = until
    db.flush()
    return True


def release_hold(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Give a request's hold back; False when it has none. Locks the consultant."""
    held = _locked_hold(db, request_id)
    if held is None or not store.delete_hold(db, held):
        return False
    record_capacity_released(db, ctx, [held.consultant_user_id], "hold_released")
    return True


def held_slot(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """The request's hold, live or not, for reading."""
    return store.hold_of_request(db, request_id)


def _locked_hold(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """The request's hold, read again and locked after its consultant was."""
    found = store.hold_of_request(db, request_id)
    if found is None:
        return None
    store.lock_consultant(db, found.consultant_user_id)
    return store.hold_of_request(db, request_id, locked=True)


def free_session(
    db: Session, ctx: Context, consultant_user_id: UUID, session_id: UUID, request_id: UUID
) -> None:
    """Give a session's time back, and what is kept in its stead. Locks consultants in the order of ids."""
    kept = store.hold_of_request(db, request_id)
    for who in sorted({consultant_user_id, *([kept.consultant_user_id] if kept else [])}):
        store.lock_consultant(db, who)
    if store.delete_booking(db, session_id):
        record_capacity_released(db, ctx, [consultant_user_id], "booking_freed")
    if kept is not None:
        release_hold(db, ctx, request_id)

"""Holds and bookings in the slot ledger, changed under the lock of the consultant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, get_args
from uuid import UUID

from sqlalchemy.orm import Session
from typing_extensions import TypeVar

from booking_tasks.availability import store
from booking_tasks.context import Context
from booking_tasks.contracts.booking import StartCode
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, ScheduledSession
from booking_tasks.outbox.capacity_released import record_capacity_released

ReasonT_co = TypeVar("ReasonT_co", bound=str, covariant=True, default=str)


@dataclass(frozen=True)
class Reservation:
    """A held or booked row of the slot ledger: its id, and the session's own times."""

    slot_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Refusal(Generic[ReasonT_co]):
    """A start could not be reserved, and nothing was changed.

    Every start can be refused with `slot_not_free` (not offered), `slot_taken` (reserved for another
    request), `requester_busy` (the requester has another reservation at that time), `notice_too_short`,
    `beyond_horizon` and `limit_reached` (the policy of the service type and the consultant),
    `not_available_for_booking`, `service_not_offered` and `service_type_inactive` (whatever the hours). A
    booking, a hold and an offer have further codes, such as `hold_expired`, `at_capacity` and `offer_open`;
    docs/architecture.md lists them.
    """

    code: ReasonT_co


#: What the database answers -> the same, as the type that the commands name.
_START_CODES: dict[str, StartCode] = {code: code for code in get_args(StartCode)}


def start_code(refusal: str) -> StartCode:
    """Return the code for what the database answered. Raises KeyError for one that no command names."""
    return _START_CODES[refusal]


def within_horizon(ctx: Context, start: datetime, code: StartCode) -> StartCode:
    """Return the code, or `beyond_horizon` where no hours are known because the start is too far ahead.

    Hours are windows up to `BOOKING_HORIZON`, whatever horizon a service type has.
    """
    is_far = start > ctx.now + ctx.policies.horizon
    return RefusalCode.BEYOND_HORIZON if is_far and code == RefusalCode.SLOT_NOT_FREE else code


def expire_holds(db: Session, ctx: Context, limit: int = 500) -> int:
    """Delete holds whose time is over, and return how many they were."""
    count, people = store.delete_expired_holds(db, ctx.now, limit)
    record_capacity_released(db, ctx, people, "hold_over")
    return count


def free_time(
    db: Session,
    ctx: Context,
    start: datetime,
    end: datetime,
    consultants: Sequence[UUID] = (),
    service_type_id: UUID | None = None,
) -> dict[UUID, store.Spans]:
    """Return what is free from `start` until `end`, of these consultants or of all who take bookings.

    Without a service type these are the free parts of their hours, otherwise every session that could begin.
    """
    chosen = consultants or store.bookable_consultant_ids(db)
    if service_type_id is None:
        return store.free_time_by_consultant(db, chosen, start, end, ctx.now)
    return store.free_starts_by_consultant(db, chosen, service_type_id, start, end, ctx.now)


def hold_start(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    until: datetime,
    token: UUID | None = None,
    length: timedelta | None = None,
) -> Reservation | Refusal[StartCode]:
    """Hold a start for one request until an instant, under the token or a new one.

    `length` is that of a session that is booked already, which keeps it. Locks the consultant, then both
    persons.
    """
    return _reserve(
        db,
        ctx,
        request,
        consultant_user_id,
        start,
        {
            "status": "held",
            "source": "hold",
            "held_until": until,
            "hold_token": token or uuid7(),
            "length": length,
        },
    )


def move_booking(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    session: ScheduledSession,
    length: timedelta | None = None,
) -> Reservation | Refusal[StartCode]:
    """Move the booking of a locked session to another start or consultant.

    The session keeps its length unless another one is given. Locks the consultant, then both persons.
    """
    return _reserve(
        db,
        ctx,
        request,
        consultant_user_id,
        start,
        {
            "status": "booked",
            "source": "session",
            "scheduled_session_id": session.id,
            "length": length or session.scheduled_end_time - session.scheduled_start_time,
        },
    )


def _reserve(
    db: Session,
    ctx: Context,
    request: ConsultationRequest,
    consultant_user_id: UUID,
    start: datetime,
    columns: dict[str, Any],
) -> Reservation | Refusal[StartCode]:
    """Reserve a start: the database locks, evaluates the start and inserts the row, or changes nothing."""
    slot_id = uuid7()
    refusal, end = store.reserve_start(
        db, slot_id, request, consultant_user_id=consultant_user_id, start=start, now=ctx.now, **columns
    )
    if end is None:
        code = start_code(refusal or RefusalCode.SLOT_NOT_FREE)
        if code == RefusalCode.SLOT_NOT_FREE:  # the hours are not the cause where nothing is offered at all
            service_type_id = request.consultation_service_type_id
            reason = store.not_offered_reason(db, consultant_user_id, service_type_id)
            code = reason or within_horizon(ctx, start, code)
        return Refusal(code)
    return Reservation(slot_id, start, end)


def extend_hold(db: Session, ctx: Context, request_id: UUID, until: datetime) -> bool:
    """Let the hold of a request end at another instant; False when it is over. Locks the consultant."""
    held = _locked_hold(db, request_id)
    if held is None or held.held_until is None or held.held_until <= ctx.now:
        return False
    held.held_until = until
    db.flush()
    return True


def release_hold(db: Session, ctx: Context, request_id: UUID) -> bool:
    """Release the hold of a request; False when it has none. Locks the consultant."""
    held = _locked_hold(db, request_id)
    if held is None or not store.delete_hold(db, held):
        return False
    record_capacity_released(db, ctx, _people_of(held), "hold_released")
    return True


def _people_of(reservation: AvailabilitySlot) -> list[UUID]:
    """The consultant and the requester of a reservation."""
    people = reservation.consultant_user_id, reservation.requester_user_id
    return [who for who in people if who is not None]


def held_slot(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """Return the hold of a request, live or over, for reading."""
    return store.hold_of_request(db, request_id)


def _locked_hold(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """Return the hold of a request, read again after its consultant was locked, and locked itself."""
    found = store.hold_of_request(db, request_id)
    if found is None:
        return None
    store.lock_consultant(db, found.consultant_user_id)
    return store.hold_of_request(db, request_id, locked=True)


def release_session_time(
    db: Session, ctx: Context, consultant_user_id: UUID, session_id: UUID, request_id: UUID
) -> None:
    """Release the booking of a session, and the hold of its request. Locks consultants by id."""
    kept = store.hold_of_request(db, request_id)
    for who in sorted({consultant_user_id, *([kept.consultant_user_id] if kept else [])}):
        store.lock_consultant(db, who)
    record_capacity_released(db, ctx, store.delete_booking(db, session_id), "booking_freed")
    if kept is not None:
        release_hold(db, ctx, request_id)

"""The slot ledger's queries and locks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, bindparam, delete, exists, func, select, text, true
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.identity import uuid7
from booking_tasks.models import AvailabilitySlot, Consultant, ServiceType

_FREE_STARTS = text(
    "SELECT consultant_user_id, start_time, end_time "
    "FROM free_starts(:consultants, :service_type, :from_, :to, :now, :ignored) "
    "ORDER BY start_time, consultant_user_id LIMIT :limit"
).bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("ignored", type_=PG_UUID(as_uuid=True)),
)
FreeStartRow = tuple[UUID, datetime, datetime]


def lock_consultant(db: Session, consultant_user_id: UUID) -> Consultant | None:
    """The consultant, locked: whoever changes their time waits here. Read their time only afterwards."""
    return db.execute(
        select(Consultant)
        .where(Consultant.consultant_user_id == consultant_user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def lock_requester(db: Session, requester_user_id: UUID) -> None:
    """Lock a requester's time until the transaction ends; always after the consultant."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"requester:{requester_user_id}", 0))))


def service_type(db: Session, service_type_id: UUID) -> ServiceType | None:
    """The service type, active or not."""
    return db.get(ServiceType, service_type_id)


def bookable_consultants(db: Session, among: Sequence[UUID] = ()) -> list[Consultant]:
    """Consultants who take bookings, in id order; all of them, or those of `among`."""
    query = (
        select(Consultant).where(Consultant.is_available_for_booking).order_by(Consultant.consultant_user_id)
    )
    if among:
        query = query.where(Consultant.consultant_user_id.in_(among))
    return list(db.execute(query).scalars())


def free_starts(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
    limit: int,
    ignored_session: UUID | None = None,
) -> list[FreeStartRow]:
    """(consultant, start, end) of what can be booked with start in [start, end), earliest first."""
    rows = db.execute(
        _FREE_STARTS,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "from_": start,
            "to": end,
            "now": now,
            "ignored": ignored_session,
            "limit": limit,
        },
    )
    return [(row[0], row[1], row[2]) for row in rows]


def has_windows(db: Session, consultants: Sequence[UUID], start: datetime, end: datetime) -> bool:
    """Whether any of them declared any hours in the range."""
    return bool(
        db.execute(
            select(
                exists().where(
                    AvailabilitySlot.consultant_user_id.in_(consultants),
                    AvailabilitySlot.status == "available",
                    func.tstzrange(AvailabilitySlot.start_time, AvailabilitySlot.end_time).op("&&")(
                        func.tstzrange(start, end)
                    ),
                )
            )
        ).scalar_one()
    )


def delete_expired_holds_in_the_way(
    db: Session,
    consultant_user_id: UUID,
    requester_user_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
) -> None:
    """Remove dead holds that would trip a constraint: the consultant's, and the requester's elsewhere.

    Rows someone else works on are left: their owner is about to change them anyway.
    """
    span = func.tstzrange(start, end)
    in_the_way = (
        select(AvailabilitySlot.id)
        .where(
            AvailabilitySlot.status == "held",
            AvailabilitySlot.held_until <= now,
            func.tstzrange(AvailabilitySlot.start_time, AvailabilitySlot.end_time).op("&&")(span),
            (AvailabilitySlot.consultant_user_id == consultant_user_id)
            | (AvailabilitySlot.requester_user_id == requester_user_id),
        )
        .with_for_update(skip_locked=True)
    )
    db.execute(delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(in_the_way.scalar_subquery())))


def inserted_fact(db: Session, **values: Any) -> UUID | None:
    """Insert a hold or booking; its id, or None when an exclusion constraint refused it."""
    return db.execute(
        insert(AvailabilitySlot)
        .values(id=uuid7(), **values)
        .on_conflict_do_nothing()
        .returning(AvailabilitySlot.id)
    ).scalar_one_or_none()


def has_live_fact(
    db: Session,
    consultant_user_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
    ignored_session: UUID | None = None,
) -> bool:
    """Whether a live hold or a booking of the consultant overlaps [start, end)."""
    return bool(
        db.execute(
            select(
                exists().where(
                    AvailabilitySlot.consultant_user_id == consultant_user_id,
                    AvailabilitySlot.status.in_(("held", "booked")),
                    func.tstzrange(AvailabilitySlot.start_time, AvailabilitySlot.end_time).op("&&")(
                        func.tstzrange(start, end)
                    ),
                    (AvailabilitySlot.status == "booked") | (AvailabilitySlot.held_until > now),
                    AvailabilitySlot.scheduled_session_id.is_distinct_from(ignored_session)
                    if ignored_session is not None
                    else true(),
                )
            )
        ).scalar_one()
    )


def requester_is_busy(db: Session, requester_user_id: UUID, start: datetime, end: datetime) -> bool:
    """Whether the requester already has a hold or booking anywhere in [start, end)."""
    return bool(
        db.execute(
            select(
                exists().where(
                    AvailabilitySlot.status.in_(("held", "booked")),
                    AvailabilitySlot.requester_user_id == requester_user_id,
                    func.tstzrange(AvailabilitySlot.session_start_time, AvailabilitySlot.session_end_time).op(
                        "&&"
                    )(func.tstzrange(start, end)),
                )
            )
        ).scalar_one()
    )


def hold_of_request(db: Session, request_id: UUID) -> AvailabilitySlot | None:
    """The hold a request has, live or not."""
    return db.execute(
        select(AvailabilitySlot)
        .where(AvailabilitySlot.consultation_request_id == request_id, AvailabilitySlot.status == "held")
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def delete_hold(db: Session, hold: AvailabilitySlot) -> bool:
    """Give a hold back, by id, token and status; False when it is no longer that."""
    return _deleted(
        db,
        delete(AvailabilitySlot).where(
            AvailabilitySlot.id == hold.id,
            AvailabilitySlot.hold_token == hold.hold_token,
            AvailabilitySlot.status == "held",
        ),
    ) == 1  # fmt: skip


def delete_booking(db: Session, session_id: UUID) -> int:
    """Free a session's time; how many facts it had (one, or none)."""
    return _deleted(
        db,
        delete(AvailabilitySlot).where(
            AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == "booked"
        ),
    )


def delete_expired_holds(db: Session, now: datetime, limit: int) -> int:
    """Tidy holds whose time is over; how many. They block nobody even while they are here."""
    expired = (
        select(AvailabilitySlot.id)
        .where(AvailabilitySlot.status == "held", AvailabilitySlot.held_until <= now)
        .order_by(AvailabilitySlot.held_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = select(expired.cte("expired").c.id)  # a CTE runs once; a subquery may run again and lock more
    return _deleted(db, delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(chosen)))


def _deleted(db: Session, statement: Any) -> int:
    result = db.execute(statement.execution_options(synchronize_session="fetch"))
    return result.rowcount if isinstance(result, CursorResult) else 0

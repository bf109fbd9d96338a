"""The slot ledger's queries and locks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    CursorResult,
    Delete,
    TextClause,
    any_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, TIMESTAMP, Range
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import RefusalCode, SlotStatus
from booking_tasks.kit.bulk import IN_BULK
from booking_tasks.kit.instants import Span
from booking_tasks.models import (
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    OccupiedTime,
    ServiceType,
    SpecializationAlias,
)
from booking_tasks.sql import query

_IDS = ARRAY(PG_UUID(as_uuid=True))
_CONSULTANTS = bindparam("consultants", type_=_IDS)
_FREE_STARTS = text(
    "SELECT consultant_user_id, start_time, end_time "
    "FROM free_starts_v3(:consultants, :service_type, :since, :until, :now) "
    "ORDER BY start_time, consultant_user_id LIMIT :limit"
).bindparams(_CONSULTANTS, bindparam("service_type", type_=PG_UUID(as_uuid=True)))
FreeStartRow = tuple[UUID, datetime, datetime]
# One row for each consultant, their times as arrays: a row for each time costs ten times as much to read.
_STARTS_BY_CONSULTANT = query(__package__, "starts_by_consultant").bindparams(
    _CONSULTANTS,
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("ignored", type_=PG_UUID(as_uuid=True)),
)
_FREE_TIME_BY_CONSULTANT = query(__package__, "free_time_by_consultant").bindparams(_CONSULTANTS)


@dataclass(frozen=True)
class Spans:
    """Spans of one consultant's time, in order: the start and the end of each."""

    starts: list[datetime]
    ends: list[datetime]

    def __iter__(self) -> Iterator[tuple[datetime, datetime]]:
        return zip(self.starts, self.ends, strict=True)

    def __len__(self) -> int:
        return len(self.starts)


def lock_consultant(db: Session, consultant_user_id: UUID) -> Consultant | None:
    """Return the consultant, locked. Whoever changes their time locks first and reads afterwards."""
    return db.execute(
        select(Consultant)
        .where(Consultant.consultant_user_id == consultant_user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def service_type(db: Session, service_type_id: UUID) -> ServiceType | None:
    """Return the service type, active or not."""
    return db.get(ServiceType, service_type_id)


def confirming_consultants(
    db: Session, consultants: Sequence[UUID], service_type_id: UUID, now: datetime
) -> set[UUID]:
    """Return those of the consultants who must confirm each booking of the service type."""
    rows = db.execute(
        text(
            "SELECT consultant_user_id FROM booking_policies_v2(:consultants, :service_type, :now)"
            " WHERE requires_confirmation"
        ).bindparams(
            bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
            bindparam("service_type", type_=PG_UUID(as_uuid=True)),
        ),
        {"consultants": list(consultants), "service_type": service_type_id, "now": now},
    )
    return set(rows.scalars())


def aliases(db: Session, names: Iterable[str]) -> dict[str, str]:
    """Return those of the names that are aliases, case-folded, each with its specialization."""
    folded = sorted({name.casefold() for name in names})
    if not folded:
        return {}
    rows = db.execute(
        select(SpecializationAlias.alias, SpecializationAlias.specialization).where(
            SpecializationAlias.alias.in_(folded)
        )
    )
    return {row[0]: row[1] for row in rows}


def offered_specializations(db: Session) -> list[str]:
    """Return every name under which a consultant who takes bookings offers a specialization."""
    names = select(func.unnest(Consultant.specializations)).where(Consultant.is_available_for_booking)
    return list(db.execute(names.distinct()).scalars())


def bookable_consultants(
    db: Session, service_type_id: UUID, among: Sequence[UUID] = ()
) -> list[tuple[UUID, list[str]]]:
    """Return (id, specializations) of those who take the service type, in id order; of all, or of `among`."""
    offered = Consultant.service_type_ids
    query = (
        select(Consultant.consultant_user_id, Consultant.specializations)
        .where(Consultant.is_available_for_booking, or_(offered.is_(None), any_(offered) == service_type_id))
        .order_by(Consultant.consultant_user_id)
    )
    if among:
        query = query.where(Consultant.consultant_user_id == any_(literal(list(among), _IDS)))
    return [(row[0], row[1]) for row in db.execute(query)]


def not_offered_reason(
    db: Session, consultant_user_id: UUID, service_type_id: UUID
) -> (
    Literal[
        RefusalCode.SERVICE_TYPE_INACTIVE,
        RefusalCode.NOT_AVAILABLE_FOR_BOOKING,
        RefusalCode.SERVICE_NOT_OFFERED,
    ]
    | None
):
    """Why a consultant offers no start of a service type at all, whatever their hours; None if they do."""
    row = db.execute(
        select(ServiceType.is_active, Consultant.is_available_for_booking, Consultant.service_type_ids)
        .join(Consultant, Consultant.consultant_user_id == consultant_user_id)
        .where(ServiceType.id == service_type_id)
    ).one_or_none()
    if row is None or (row[0] and row[1] and (row[2] is None or service_type_id in row[2])):
        return None
    if not row[0]:
        return RefusalCode.SERVICE_TYPE_INACTIVE
    return RefusalCode.NOT_AVAILABLE_FOR_BOOKING if not row[1] else RefusalCode.SERVICE_NOT_OFFERED


def bookable_consultant_ids(db: Session) -> list[UUID]:
    """Return the ids of the consultants who take bookings."""
    query = select(Consultant.consultant_user_id).where(Consultant.is_available_for_booking)
    return list(db.execute(query).scalars())


def free_starts(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
    limit: int,
) -> list[FreeStartRow]:
    """Return (consultant, start, end) of what can be booked, with its start in [start, end), in order."""
    values = {
        "consultants": list(consultants),
        "service_type": service_type_id,
        "since": start,
        "until": end,
        "now": now,
        "limit": limit,
    }
    return [(row[0], row[1], row[2]) for row in db.execute(_FREE_STARTS, values)]


def free_starts_by_consultant(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime,
    now: datetime,
    ignored_session: UUID | None = None,
) -> dict[UUID, Spans]:
    """Return everything that can be booked with its start in [start, end), in order for each consultant."""
    values = {
        "consultants": list(consultants),
        "service_type": service_type_id,
        "since": start,
        "until": end,
        "now": now,
        "ignored": ignored_session,
    }
    return _spans_by_consultant(db, _STARTS_BY_CONSULTANT, values)


def free_time_by_consultant(
    db: Session, consultants: Sequence[UUID], start: datetime, end: datetime, now: datetime
) -> dict[UUID, Spans]:
    """Return the free parts of the hours of each who takes bookings, in order; policies do not matter."""
    values = {"consultants": list(consultants), "since": start, "until": end, "now": now}
    return _spans_by_consultant(db, _FREE_TIME_BY_CONSULTANT, values)


def _spans_by_consultant(db: Session, query: TextClause, values: dict[str, Any]) -> dict[UUID, Spans]:
    rows = db.execute(query, values, execution_options=IN_BULK)
    return {who: Spans(starts, ends) for who, starts, ends in rows}


def occupied_spans(
    db: Session, people: Collection[UUID], since: datetime, until: datetime | None, now: datetime
) -> dict[UUID, tuple[Span, ...]]:
    """Return when people are occupied in [since, until): sessions and live holds, in whatever role."""
    rows = db.execute(
        select(
            OccupiedTime.person_id,
            type_coerce(func.lower(OccupiedTime.span), TIMESTAMP(timezone=True)),
            type_coerce(func.upper(OccupiedTime.span), TIMESTAMP(timezone=True)),
        )
        .where(
            OccupiedTime.person_id.in_(people),
            OccupiedTime.span.overlaps(Range(since, until)),
            or_(OccupiedTime.held_until.is_(None), OccupiedTime.held_until > now),
        )
        .order_by(OccupiedTime.person_id, OccupiedTime.span)
    )
    found: dict[UUID, list[Span]] = {}
    for who, start, end in rows:
        found.setdefault(who, []).append((start, end))
    return {who: tuple(spans) for who, spans in found.items()}


_RESERVE_START = text(
    "SELECT refusal, session_end FROM reserve_start_v3(:id, :status, :source, :consultant, :requester,"
    " :request, :service_type, :start, :now, :held_until, :hold_token, :session, :length)"
).bindparams(
    *(
        bindparam(name, type_=PG_UUID(as_uuid=True))
        for name in ("id", "consultant", "requester", "request", "service_type", "hold_token", "session")
    ),
    bindparam("held_until", type_=TIMESTAMP(timezone=True)),
    bindparam("length", type_=INTERVAL()),
)


def reserve_start(
    db: Session,
    slot_id: UUID,
    request: ConsultationRequest,
    *,
    consultant_user_id: UUID,
    start: datetime,
    now: datetime,
    status: str,
    source: str,
    held_until: datetime | None = None,
    hold_token: UUID | None = None,
    scheduled_session_id: UUID | None = None,
    length: timedelta | None = None,
) -> tuple[str | None, datetime | None]:
    """Reserve a start for a request in one round trip: (None, end of the session), or (refusal, None).

    Locks the consultant, then both persons. A booking that the session already has is deleted first. Without
    a length the policy that holds now decides how long the session is.
    """
    row = db.execute(
        _RESERVE_START,
        {
            "id": slot_id,
            "status": status,
            "source": source,
            "consultant": consultant_user_id,
            "requester": request.requester_user_id,
            "request": request.id,
            "service_type": request.consultation_service_type_id,
            "start": start,
            "now": now,
            "held_until": held_until,
            "hold_token": hold_token,
            "session": scheduled_session_id,
            "length": length,
        },
    ).one()
    return row.refusal, row.session_end


def hold_of_request(db: Session, request_id: UUID, *, locked: bool = False) -> AvailabilitySlot | None:
    """Return the hold of a request, live or over; with `locked`, no sweep deletes it meanwhile."""
    found = select(AvailabilitySlot).where(
        AvailabilitySlot.consultation_request_id == request_id, AvailabilitySlot.status == SlotStatus.HELD
    )
    if locked:
        found = found.with_for_update()
    return db.execute(found.execution_options(populate_existing=True)).scalar_one_or_none()


def delete_hold(db: Session, hold: AvailabilitySlot) -> bool:
    """Delete a hold by id, token and status; False when there is no such row any more."""
    return (
        _deleted(
            db,
            delete(AvailabilitySlot).where(
                AvailabilitySlot.id == hold.id,
                AvailabilitySlot.hold_token == hold.hold_token,
                AvailabilitySlot.status == SlotStatus.HELD,
            ),
        )
        == 1
    )


def delete_booking(db: Session, session_id: UUID) -> set[UUID]:
    """Delete the booking of a session, and return its two people, if it had one."""
    own = AvailabilitySlot.scheduled_session_id == session_id, AvailabilitySlot.status == SlotStatus.BOOKED
    return _deleted_people(db, delete(AvailabilitySlot).where(*own), "fetch")[1]


def delete_expired_holds(db: Session, now: datetime, limit: int) -> tuple[int, set[UUID]]:
    """Delete holds whose time is over; return how many, and their people. They block nobody before that."""
    expired = (
        select(AvailabilitySlot.id)
        .where(AvailabilitySlot.status == SlotStatus.HELD, AvailabilitySlot.held_until <= now)
        .order_by(AvailabilitySlot.held_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = select(expired.cte("expired").c.id)  # a CTE runs once; a subquery may run again and lock more
    return _deleted_people(db, delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(chosen)), False)


def _deleted_people(
    db: Session, statement: Delete, synchronize_session: Literal["fetch", False]
) -> tuple[int, set[UUID]]:
    """Delete reservations; return how many, and their consultants and requesters."""
    people = statement.returning(AvailabilitySlot.consultant_user_id, AvailabilitySlot.requester_user_id)
    rows = db.execute(people.execution_options(synchronize_session=synchronize_session)).all()
    return len(rows), {who for row in rows for who in row if who is not None}


def _deleted(db: Session, statement: Any) -> int:
    result = db.execute(statement.execution_options(synchronize_session="fetch"))
    return result.rowcount if isinstance(result, CursorResult) else 0

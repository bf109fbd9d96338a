"""The slot ledger's queries and locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, bindparam, delete, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.availability.rules import HoursRule, Window
from booking_tasks.identity import uuid7
from booking_tasks.models import (
    AvailabilityRule,
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    ScheduledSession,
    ServiceType,
)

RULES_SOURCE = "rules"

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


def service_type(db: Session, service_type_id: UUID) -> ServiceType | None:
    """The service type, active or not."""
    return db.get(ServiceType, service_type_id)


def needing_confirmation(
    db: Session, consultants: Sequence[UUID], service_type_id: UUID, now: datetime
) -> set[UUID]:
    """Those of the consultants who confirm each booking of this kind themselves."""
    rows = db.execute(
        text(
            "SELECT consultant_user_id FROM booking_policies(:consultants, :service_type, :now)"
            " WHERE requires_confirmation"
        ).bindparams(
            bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
            bindparam("service_type", type_=PG_UUID(as_uuid=True)),
        ),
        {"consultants": list(consultants), "service_type": service_type_id, "now": now},
    )
    return set(rows.scalars())


def session_length(
    db: Session, consultant_user_id: UUID, service_type_id: UUID, now: datetime
) -> timedelta | None:
    """How long a consultation of this kind lasts with this consultant; None when they take no bookings."""
    return db.execute(
        text(
            "SELECT duration FROM booking_policies(ARRAY[CAST(:who AS uuid)], :service_type, :now)"
        ).bindparams(bindparam("service_type", type_=PG_UUID(as_uuid=True))),
        {"who": consultant_user_id, "service_type": service_type_id, "now": now},
    ).scalar_one_or_none()


def bookable_consultants(db: Session, among: Sequence[UUID] = ()) -> list[tuple[UUID, list[str]]]:
    """(id, specializations) of those who take bookings, in id order; of all, or of those in `among`."""
    query = (
        select(Consultant.consultant_user_id, Consultant.specializations)
        .where(Consultant.is_available_for_booking)
        .order_by(Consultant.consultant_user_id)
    )
    if among:
        query = query.where(Consultant.consultant_user_id.in_(among))
    return [(row[0], row[1]) for row in db.execute(query)]


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


_RESERVED = text(
    "SELECT refusal, session_end FROM reserve_start(:id, :status, :source, :consultant, :requester, :request,"
    " :service_type, :start, :now, :held_until, :hold_token, :session)"
).bindparams(
    *(
        bindparam(name, type_=PG_UUID(as_uuid=True))
        for name in ("id", "consultant", "requester", "request", "service_type", "hold_token", "session")
    ),
    bindparam("held_until", type_=TIMESTAMP(timezone=True)),
)


def reserved(
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
) -> tuple[str | None, datetime | None]:
    """Take a start for a request: (None, end of the session), or (why not, None). One round trip.

    Locks the consultant, then the requester. A booking that the session has gives way to the new one.
    """
    row = db.execute(
        _RESERVED,
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
        },
    ).one()
    return row.refusal, row.session_end


def inserted_fact(db: Session, **values: Any) -> UUID | None:
    """Insert a hold or booking; its id, or None when an exclusion constraint refused it."""
    return db.execute(
        insert(AvailabilitySlot)
        .values(id=uuid7(), **values)
        .on_conflict_do_nothing()
        .returning(AvailabilitySlot.id)
    ).scalar_one_or_none()


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


def hours_rules(db: Session, consultant_user_id: UUID) -> list[HoursRule]:
    """A consultant's declared hours."""
    rows = db.execute(
        select(AvailabilityRule).where(AvailabilityRule.consultant_user_id == consultant_user_id)
    ).scalars()
    return [
        HoursRule(start=row.start_local, end=row.end_local, weekday=row.weekday, day=row.local_date)
        for row in rows
    ]


def replace_hours_rules(db: Session, consultant_user_id: UUID, rules: Iterable[HoursRule]) -> None:
    """Put these hours in the place of the old ones."""
    db.execute(delete(AvailabilityRule).where(AvailabilityRule.consultant_user_id == consultant_user_id))
    db.add_all(
        AvailabilityRule(
            consultant_user_id=consultant_user_id,
            weekday=rule.weekday,
            local_date=rule.day,
            start_local=rule.start,
            end_local=rule.end,
        )
        for rule in rules
    )
    db.flush()


def consultants_with_rules(db: Session) -> list[UUID]:
    """Everyone who declared hours, in id order."""
    return list(
        db.execute(
            select(AvailabilityRule.consultant_user_id)
            .distinct()
            .order_by(AvailabilityRule.consultant_user_id)
        ).scalars()
    )


def rule_windows(db: Session, consultant_user_id: UUID, since: datetime) -> dict[Window, UUID]:
    """The windows made from rules that start at or after `since`, with their row ids."""
    rows = db.execute(
        select(AvailabilitySlot).where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status == "available",
            AvailabilitySlot.source == RULES_SOURCE,
            AvailabilitySlot.start_time >= since,
        )
    ).scalars()
    return {Window(row.start_time, row.end_time, row.recurrence_rule): row.id for row in rows}


def other_windows(db: Session, consultant_user_id: UUID, since: datetime) -> list[Window]:
    """The windows that reach past `since` and are not those of `rule_windows`, in order of start."""
    rows = db.execute(
        select(AvailabilitySlot.start_time, AvailabilitySlot.end_time)
        .where(
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status == "available",
            AvailabilitySlot.end_time > since,
            or_(AvailabilitySlot.source != RULES_SOURCE, AvailabilitySlot.start_time < since),
        )
        .order_by(AvailabilitySlot.start_time)
    )
    return [Window(start, end) for start, end in rows]


def change_windows(
    db: Session, consultant_user_id: UUID, removed: Sequence[UUID], added: Sequence[Window]
) -> None:
    """Touch only the windows that differ."""
    if removed:
        db.execute(delete(AvailabilitySlot).where(AvailabilitySlot.id.in_(removed)))
    if added:
        db.execute(
            insert(AvailabilitySlot),
            [
                {
                    "id": uuid7(),
                    "consultant_user_id": consultant_user_id,
                    "start_time": window.start,
                    "end_time": window.end,
                    "is_recurring": window.recurrence_rule is not None,
                    "recurrence_rule": window.recurrence_rule,
                    "status": "available",
                    "source": RULES_SOURCE,
                }
                for window in added
            ],
        )


def uncovered_sessions(db: Session, consultant_user_id: UUID, now: datetime) -> list[UUID]:
    """Sessions ahead that lie, in part or whole, outside the declared hours, in order of start."""
    rows = db.execute(
        text(
            "SELECT s.id FROM scheduled_sessions s"
            " WHERE s.consultant_user_id = :consultant AND s.status = 'scheduled'"
            "   AND s.scheduled_start_time > :now"
            "   AND NOT coalesce((SELECT range_agg(tstzrange(w.start_time, w.end_time))"
            "                       FROM consultant_availability_slots w"
            "                      WHERE w.consultant_user_id = s.consultant_user_id"
            "                        AND w.status = 'available'"
            "                        AND tstzrange(w.start_time, w.end_time)"
            "                            && tstzrange(s.scheduled_start_time, s.scheduled_end_time)),"
            "                    tstzmultirange())"
            "           @> tstzrange(s.scheduled_start_time, s.scheduled_end_time)"
            " ORDER BY s.scheduled_start_time, s.id"
        ).columns(ScheduledSession.id),
        {"consultant": consultant_user_id, "now": now},
    )
    return list(rows.scalars())


def _deleted(db: Session, statement: Any) -> int:
    result = db.execute(statement.execution_options(synchronize_session="fetch"))
    return result.rowcount if isinstance(result, CursorResult) else 0

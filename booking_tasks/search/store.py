"""The queries of the search: a page of free starts, and what blocks the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, any_, bindparam, case, column, func, literal, not_, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.models import Consultant
from booking_tasks.sql import query

_ID = PG_UUID(as_uuid=True)
_IDS = ARRAY(_ID)
_INSTANT = TIMESTAMP(timezone=True)
_BLOCKING_REASONS = query(__package__, "blocking_reasons").bindparams(
    bindparam("consultants", type_=_IDS),
    bindparam("service_type", type_=_ID),
    bindparam("until", type_=_INSTANT),
    bindparam("now", type_=_INSTANT),
)


def page(
    db: Session,
    among: Sequence[UUID],
    company_id: UUID | None,
    skills: Sequence[Sequence[str]],
    service_type_id: UUID,
    start: datetime,
    end: datetime | None,
    now: datetime,
    after: UUID | None,
    limit: int,
) -> list[tuple[UUID, datetime, datetime]]:
    """(consultant, start, end) of the first `limit` free starts from `start` until before `end`.

    They are of the consultants in `among`, or of all bookable ones, who serve the company, have fewer
    reservations ahead than they may have, and offer one spelling of each of `skills`. At `start` itself only
    those of consultants after `after`, if there is one.
    """
    found = func.page_of_starts_v3(
        _consultant_ids(among, company_id, skills, now),
        literal(service_type_id, _ID),
        literal(start, _INSTANT),
        literal(end, _INSTANT),
        literal(now, _INSTANT),
        literal(after, _ID),
        limit,
    ).table_valued(
        column("consultant_user_id", _ID), column("start_time", _INSTANT), column("end_time", _INSTANT)
    )
    query = select(found).order_by(found.c.start_time, found.c.consultant_user_id)
    return [(row[0], row[1], row[2]) for row in db.execute(query)]


def _consultant_ids(
    among: Sequence[UUID], company_id: UUID | None, skills: Sequence[Sequence[str]], now: datetime
) -> ColumnElement[list[UUID]]:
    """SQL for the ids."""
    able = select(func.coalesce(func.array_agg(Consultant.consultant_user_id), literal([], _IDS))).where(
        Consultant.is_available_for_booking,
        _serves(company_id),
        not_(_is_at_capacity(now)),
        *(Consultant.specializations.op("&&")(literal(list(names), ARRAY(Text))) for names in skills),
    )
    if among:
        able = able.where(Consultant.consultant_user_id == any_(literal(list(among), _IDS)))
    return able.scalar_subquery()


def _serves(company_id: UUID | None) -> ColumnElement[bool]:
    """Whether a consultant serves a company; None is a requester without one."""
    theirs = Consultant.company_ids
    if company_id is None:
        return theirs.is_(None)
    return or_(theirs.is_(None), literal(company_id, _ID) == any_(theirs))


def _is_at_capacity(now: datetime) -> ColumnElement[bool]:
    """Whether a consultant has as many sessions and holds ahead as they may have."""
    ahead = func.count_reservations_ahead_v2(Consultant.consultant_user_id, literal(now, _INSTANT))
    capacity = Consultant.assignment_capacity
    return case((capacity.is_(None), literal(value=False)), else_=capacity <= ahead)


def at_capacity(db: Session, consultants: Sequence[UUID], now: datetime) -> list[UUID]:
    """The consultants who have as many sessions and holds ahead as they may have."""
    return _where(db, consultants, _is_at_capacity(now))


def for_other_companies(db: Session, consultants: Sequence[UUID], company_id: UUID | None) -> list[UUID]:
    """The consultants who do not serve a company; with None, who serve none but certain companies."""
    return _where(db, consultants, not_(_serves(company_id)))


def _where(db: Session, consultants: Sequence[UUID], condition: ColumnElement[bool]) -> list[UUID]:
    among = Consultant.consultant_user_id == any_(literal(list(consultants), _IDS))
    return list(db.execute(select(Consultant.consultant_user_id).where(among, condition)).scalars())


def blocking_reasons(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime | None,
    now: datetime,
) -> dict[UUID, list[str]]:
    """The reasons that block the starts of each consultant that lie ahead in the range."""
    rows = db.execute(
        _BLOCKING_REASONS,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "since": start,
            "until": end,
            "now": now,
        },
    )
    return {row[0]: row[1] for row in rows}

"""The queries of the search: a page of free starts, and what blocks the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, any_, bindparam, column, func, literal, select
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
    skills: Sequence[Sequence[str]],
    service_type_id: UUID,
    start: datetime,
    end: datetime | None,
    now: datetime,
    after: UUID | None,
    limit: int,
) -> list[tuple[UUID, datetime, datetime]]:
    """(consultant, start, end) of the first `limit` free starts from `start` until before `end`.

    They are of the consultants in `among`, or of all bookable ones, who offer one spelling of each of
    `skills`. At `start` itself only those of consultants after `after`, if there is one.
    """
    found = func.page_of_starts_v2(
        _consultant_ids(among, skills),
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


def _consultant_ids(among: Sequence[UUID], skills: Sequence[Sequence[str]]) -> ColumnElement[list[UUID]]:
    """SQL for the ids; NULL for all."""
    if not skills:
        return literal(list(among) or None, _IDS)
    able = select(func.coalesce(func.array_agg(Consultant.consultant_user_id), literal([], _IDS))).where(
        Consultant.is_available_for_booking,
        *(Consultant.specializations.op("&&")(literal(list(names), ARRAY(Text))) for names in skills),
    )
    if among:
        able = able.where(Consultant.consultant_user_id == any_(literal(list(among), _IDS)))
    return able.scalar_subquery()


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

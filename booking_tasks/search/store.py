"""The search's queries: a page of free starts, and what was in the way of all others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

_TYPES = (
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("to", type_=TIMESTAMP(timezone=True)),
)
_PAGE = text(
    "SELECT consultant_user_id, start_time, end_time"
    " FROM page_of_starts(:consultants, :service_type, :from_, :to, :now, :after, :limit)"
    " ORDER BY start_time, consultant_user_id"
).bindparams(*_TYPES, bindparam("after", type_=PG_UUID(as_uuid=True)))
_OBSTACLES = text(
    "SELECT consultant_user_id, array_agg(DISTINCT obstacle)"
    " FROM judged_starts(:consultants, :service_type, greatest(:from_, CAST(:now AS timestamptz)),"
    "                    coalesce(:to, :now + interval '731 days'), :now)"
    " WHERE obstacle IS NOT NULL GROUP BY consultant_user_id"
).bindparams(*_TYPES, bindparam("now", type_=TIMESTAMP(timezone=True)))


def page(
    db: Session,
    consultants: Sequence[UUID] | None,
    service_type_id: UUID,
    start: datetime,
    end: datetime | None,
    now: datetime,
    after: UUID | None,
    limit: int,
) -> list[tuple[UUID, datetime, datetime]]:
    """(consultant, start, end) of the first `limit` free starts from `start` until before `end`.

    Of all who take bookings when `consultants` is None. At `start` itself only those of consultants behind
    `after`, when that is given.
    """
    rows = db.execute(
        _PAGE,
        {
            "consultants": None if consultants is None else list(consultants),
            "service_type": service_type_id,
            "from_": start,
            "to": end,
            "now": now,
            "after": after,
            "limit": limit,
        },
    )
    return [(row[0], row[1], row[2]) for row in rows]


def obstacles(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    end: datetime | None,
    now: datetime,
) -> dict[UUID, list[str]]:
    """What stood in the way of each consultant's starts that lie ahead in the range."""
    rows = db.execute(
        _OBSTACLES,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "from_": start,
            "to": end,
            "now": now,
        },
    )
    return {row[0]: row[1] for row in rows}

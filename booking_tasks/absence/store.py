"""What giving sessions to others reads and locks beside the slot ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.models import Consultant

_INSTANT = timedelta(microseconds=1)

_JUDGED = text(
    "SELECT consultant_user_id, end_time, obstacle"
    "  FROM judged_starts(:consultants, :service_type, :start, :just_after, :now, :session)"
    " WHERE start_time = :start"
).bindparams(
    bindparam("consultants", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("service_type", type_=PG_UUID(as_uuid=True)),
    bindparam("session", type_=PG_UUID(as_uuid=True)),
)


class Judged(NamedTuple):
    """One consultant's start: until when it would last, and what is in its way."""

    end: datetime
    obstacle: str | None


def judged_at(
    db: Session,
    consultants: Sequence[UUID],
    service_type_id: UUID,
    start: datetime,
    now: datetime,
    session_id: UUID | None,
) -> dict[UUID, Judged]:
    """What stands against one start with each consultant; who does not work then is not in it.

    The session's own booking is no obstacle.
    """
    rows = db.execute(
        _JUDGED,
        {
            "consultants": list(consultants),
            "service_type": service_type_id,
            "start": start,
            "just_after": start + _INSTANT,
            "now": now,
            "session": session_id,
        },
    )
    return {who: Judged(end, obstacle) for who, end, obstacle in rows}


def lock_consultants(db: Session, ids: Iterable[UUID]) -> dict[UUID, Consultant]:
    """Several consultants, locked in the order of their ids; those that exist."""
    rows = db.execute(
        select(Consultant)
        .where(Consultant.consultant_user_id.in_(set(ids)))
        .order_by(Consultant.consultant_user_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalars()
    return {one.consultant_user_id: one for one in rows}

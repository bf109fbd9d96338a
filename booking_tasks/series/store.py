"""What stands before a series."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.contracts import BookSeries

_GROUND = text(
    "SELECT refusal, duration FROM series_ground(:series, :requester, :consultant, :service_type, :now)"
).bindparams(
    *(
        bindparam(name, type_=PG_UUID(as_uuid=True))
        for name in ("series", "requester", "consultant", "service_type")
    )
)


def ground(db: Session, command: BookSeries, now: datetime) -> tuple[str | None, timedelta | None]:
    """(None, how long each session lasts), or (why it cannot be booked, None).

    Locks the id of the series, then the consultant, until the transaction ends.
    """
    row = db.execute(
        _GROUND,
        {
            "series": command.series_id,
            "requester": command.requester_user_id,
            "consultant": command.consultant_user_id,
            "service_type": command.service_type_id,
            "now": now,
        },
    ).one()
    return row.refusal, row.duration

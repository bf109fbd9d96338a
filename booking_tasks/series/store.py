"""The statement that books a series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.availability.service import start_code
from booking_tasks.contracts import BookSeries
from booking_tasks.contracts.booking import StartCode
from booking_tasks.sessions.store import SessionDraft

_BOOKED = text(
    "SELECT refusal, length, conflicts"
    " FROM book_series_v4("
    ":series, :requester, :consultant, :service_type, :company, :now, :length, :bookings)"
).bindparams(
    *(
        bindparam(name, type_=PG_UUID(as_uuid=True))
        for name in ("series", "requester", "consultant", "service_type", "company")
    ),
    bindparam("bookings", type_=JSONB),
)

#: Service type -> the length of its last series. Only an estimate: the database reads the length under the
#: lock, and a wrong estimate costs a second round trip.
_last_lengths: dict[UUID, timedelta] = {}


@dataclass(frozen=True)
class SeriesResult:
    """The answer of the database to a series: booked (no refusal), or nothing written and why.

    `length` is what each session must last; `conflicts` has a code for each request that cannot be booked.
    """

    refusal: str | None
    length: timedelta | None
    conflicts: dict[UUID, StartCode]


def expected_length(service_type_id: UUID) -> timedelta:
    """Return how long sessions of this service type were last time, or an hour."""
    return _last_lengths.get(service_type_id, timedelta(hours=1))


def book_series(
    db: Session, command: BookSeries, now: datetime, length: timedelta, drafts: list[SessionDraft]
) -> SeriesResult:
    """Book a whole series of sessions of this length, or nothing. One round trip.

    Locks the id of the series, the consultant and the requester; a refusal releases the locks.
    """
    row = db.execute(
        _BOOKED,
        {
            "series": command.series_id,
            "requester": command.requester_user_id,
            "consultant": command.consultant_user_id,
            "service_type": command.service_type_id,
            "company": command.company_id,
            "now": now,
            "length": length,
            "bookings": [draft.as_json() for draft in drafts],
        },
    ).one()
    if row.length is not None:
        _last_lengths[command.service_type_id] = row.length
    conflicts = {UUID(one["request"]): start_code(one["code"]) for one in row.conflicts or ()}
    return SeriesResult(row.refusal, row.length, conflicts)

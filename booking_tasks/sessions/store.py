"""The rows of sessions, and the statement that books one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus, SessionStatus
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.outbox.service import OutboxEntry
from booking_tasks.outbox.workflow import SessionSnapshot
from booking_tasks.requests.rules import NewRequest
from booking_tasks.requests.store import mirror_written


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """Return the session, locked for change. It is locked before its request and its consultant."""
    return db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id == session_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


_BOOKED = text(
    "SELECT refusal, session_end FROM book_start_v3(:reservation, :session, :consultant, :requester,"
    " :request, :service_type, :start, :end, :now, :from_hold, :status, :new_request, :decision,"
    " :event, :jobs)"
).bindparams(
    *(
        bindparam(name, type_=PG_UUID(as_uuid=True))
        for name in ("reservation", "session", "consultant", "requester", "request", "service_type")
    ),
    *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("new_request", "decision")),
    *(bindparam(name, type_=JSONB) for name in ("event", "jobs")),
)


@dataclass(frozen=True)
class SessionDraft:
    """A booking before it is written. `decision` is the row of the choice behind it."""

    request: ConsultationRequest | NewRequest
    session: SessionSnapshot
    entry: OutboxEntry
    decision: dict[str, Any] | None

    def row(self) -> dict[str, Any]:
        """Return what is written beside the session's own columns."""
        new = isinstance(self.request, NewRequest)
        return {
            "status": self.request.status,
            "new_request": as_json(vars(self.request)) if new else None,
            "decision": None if self.decision is None else as_json(self.decision | {"id": uuid7()}),
            **self.entry.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the draft as one of the bookings that `book_series` takes."""
        span = {"starts": self.session.start, "ends": self.session.end}
        ids = {"reservation": uuid7(), "session": self.session.id, "request": self.session.request_id}
        return as_json(ids | span) | self.row()


def book_session(
    db: Session, draft: SessionDraft, *, now: datetime, from_hold: bool
) -> tuple[str | None, datetime | None]:
    """Book a session and return (None, its end), or (the refusal, None). One round trip.

    Books the slot, or turns the request's hold into the booking; writes the session, the request that names
    it, the decision, the event and its jobs. Locks the consultant, then both persons; a refusal releases
    the locks. ("other_length", end): the policy that holds now needs another end; nothing was written.
    """
    db.flush()  # what the caller changed of the request comes before what is changed here
    request, session = draft.request, draft.session
    row = db.execute(
        _BOOKED,
        {
            "reservation": uuid7(),
            "session": session.id,
            "consultant": session.consultant_user_id,
            "requester": session.requester_user_id,
            "request": session.request_id,
            "service_type": request.consultation_service_type_id,
            "start": session.start,
            "end": session.end,
            "now": now,
            "from_hold": from_hold,
            **draft.row(),
        },
    ).one()
    if row.refusal is None and isinstance(request, ConsultationRequest):
        mirror_written(
            request,
            now,
            RequestStatus.SCHEDULED,
            assigned_consultant_user_id=session.consultant_user_id,
            scheduled_session_id=session.id,
        )
    return row.refusal, row.session_end


def set_revision(db: Session, session_id: UUID, revision: int, revised_at: datetime) -> None:
    """Set the revision of a session that was inserted in this transaction."""
    db.execute(
        update(ScheduledSession)
        .where(ScheduledSession.id == session_id)
        .values(revision=revision, revised_at=revised_at)
    )


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row as JSON values; what is JSON already stays."""
    return {name: _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, list):
        return [_json_value(one) for one in value]
    return str(value) if isinstance(value, UUID) else value


def sessions_to_start(db: Session, now: datetime, limit: int) -> list[ScheduledSession]:
    """Return scheduled sessions whose start has come, locked; rows that others locked are skipped."""
    return list(
        db.execute(
            select(ScheduledSession)
            .where(
                ScheduledSession.status == SessionStatus.SCHEDULED,
                ScheduledSession.scheduled_start_time <= now,
            )
            .order_by(ScheduledSession.scheduled_start_time)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).scalars()
    )

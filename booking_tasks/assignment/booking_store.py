"""The statement that gives a start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus
from booking_tasks.intake.service import Submission
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest
from booking_tasks.outbox.service import OutboxEntry
from booking_tasks.requests.store import mirror_written, request_row
from booking_tasks.sessions.store import as_json

_IDS = ("reservation", "session", "consultant", "requester", "request", "service_type", "token", "credit")
_GIVEN = text(
    "SELECT refusal, session_end FROM book_or_hold_v1(:reservation, :session, :consultant, :requester,"
    " :request, :service_type, :start, :end, :now, :status, :until, :token, :credit, :new_request,"
    " :submitted, :decision, :event, :jobs)"
).bindparams(
    *(bindparam(name, type_=PG_UUID(as_uuid=True)) for name in _IDS),
    *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("new_request", "submitted", "decision")),
    *(bindparam(name, type_=JSONB) for name in ("event", "jobs")),
)


@dataclass(frozen=True)
class PendingBooking:
    """A start as it will be given, if the database agrees: of whom, for what, and what follows from it.

    A booking has a `session_id`, a question to the consultant its end in `until`. `decision` is the row of
    the choice, `new` the request where it is written with all this.
    """

    consultant_user_id: UUID
    start: datetime
    end: datetime
    entry: OutboxEntry
    decision: dict[str, Any] | None
    session_id: UUID | None = None
    until: datetime | None = None
    new: Submission | None = None


def book_start(
    db: Session, request: ConsultationRequest, gift: PendingBooking, now: datetime
) -> tuple[str | None, datetime | None]:
    """Give a start with all that belongs to it: (None, its end), or (why not, None). One round trip.

    Writes the request where it is new, the session and its time or the hold, the decision, the history with
    its jobs, and the credit. Locks the consultant, then the requester; a refusal gives the locks back.
    ("other_length", end): the policy that holds now wants another end; nothing was written. Nor was it for
    "must_be_confirmed" and "at_capacity", which are judged under the consultant's lock.
    """
    db.flush()  # what the caller changed of the request comes before what is changed here
    new = gift.new
    row = db.execute(
        _GIVEN,
        {
            "reservation": uuid7(),
            "session": gift.session_id,
            "consultant": gift.consultant_user_id,
            "requester": request.requester_user_id,
            "request": request.id,
            "service_type": request.consultation_service_type_id,
            "start": gift.start,
            "end": gift.end,
            "now": now,
            "status": request.status,
            "until": gift.until,
            "token": None if gift.until is None else uuid7(),
            "credit": uuid7(),
            "new_request": None if new is None else as_json(request_row(new.request)),
            "submitted": None if new is None else new.entry.as_json(),
            "decision": None if gift.decision is None else as_json(gift.decision | {"id": uuid7()}),
            "event": gift.entry.event,
            "jobs": gift.entry.job_rows(),
        },
    ).one()
    if row.refusal is None:
        mirror_written(
            request,
            now,
            RequestStatus.PENDING_CONFIRMATION if gift.session_id is None else RequestStatus.SCHEDULED,
            scheduled_session_id=gift.session_id,
            assigned_consultant_user_id=gift.consultant_user_id,
        )
    return row.refusal, row.session_end

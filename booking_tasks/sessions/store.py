"""Sessions and the circle between a request and its session, written here alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.models import ConsultationRequest, ScheduledSession


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The session, locked for change; always before its request and its consultant."""
    return db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id == session_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def locked_request(db: Session, request_id: UUID) -> ConsultationRequest | None:
    """The request, locked for change; always before its consultant."""
    return db.execute(
        select(ConsultationRequest)
        .where(ConsultationRequest.id == request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def added_session(db: Session, **values: Any) -> ScheduledSession:
    """A new session, written so that its booked slot can name it."""
    session = ScheduledSession(**values)
    db.add(session)
    db.flush()
    return session


def close_circle(db: Session, request: ConsultationRequest, session: ScheduledSession) -> None:
    """Let the request name its session, as the session names its request."""
    request.scheduled_session_id = session.id
    db.flush()


def sessions_to_start(db: Session, now: datetime, limit: int) -> list[ScheduledSession]:
    """Scheduled sessions whose start has come, locked; those another worker holds are left to it."""
    return list(
        db.execute(
            select(ScheduledSession)
            .where(ScheduledSession.status == "scheduled", ScheduledSession.scheduled_start_time <= now)
            .order_by(ScheduledSession.scheduled_start_time)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).scalars()
    )

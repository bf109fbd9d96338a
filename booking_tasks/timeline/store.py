"""The queries of the timeline: the rows of one request in every ledger."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking_tasks.models import (
    AssignmentDecision,
    AttendanceEvidence,
    ConsultationRequest,
    Event,
    InboxMessage,
    ScheduledSession,
)


def request_of(db: Session, id_: UUID) -> ConsultationRequest | None:
    """Return the request of this id, or the request of the session of this id."""
    request = db.get(ConsultationRequest, id_)
    if request is not None:
        return request
    session = db.get(ScheduledSession, id_)
    return None if session is None else db.get(ConsultationRequest, session.consultation_request_id)


def session_of(db: Session, request_id: UUID) -> ScheduledSession | None:
    """Return the session of a request."""
    return db.execute(
        select(ScheduledSession).where(ScheduledSession.consultation_request_id == request_id)
    ).scalar_one_or_none()


def events(db: Session, request_id: UUID) -> list[Event]:
    """Return the history of a request and its session, in order."""
    return list(
        db.execute(
            select(Event).where(Event.consultation_request_id == request_id).order_by(Event.position)
        ).scalars()
    )


def decisions(db: Session, request_id: UUID) -> list[AssignmentDecision]:
    """Return the assignment decisions of a request, in order."""
    return list(
        db.execute(
            select(AssignmentDecision)
            .where(AssignmentDecision.consultation_request_id == request_id)
            .order_by(AssignmentDecision.decided_at, AssignmentDecision.id)
        ).scalars()
    )


def messages(db: Session, ids: Iterable[UUID], about: Iterable[UUID]) -> list[InboxMessage]:
    """Return the messages of these ids, and those that name one of the subjects and changed nothing.

    The latter are unanswered, dead or refused; their rows still contain the ids that they concern.
    """
    named = [str(one) for one in about]
    naming = or_(
        InboxMessage.body["request_id"].astext.in_(named), InboxMessage.body["session_id"].astext.in_(named)
    )
    return list(
        db.execute(
            select(InboxMessage)
            .where(or_(InboxMessage.message_id.in_(list(ids)), naming))
            .order_by(InboxMessage.received_at)
        ).scalars()
    )


def evidence(db: Session, session_id: UUID) -> list[AttendanceEvidence]:
    """Return the attendance evidence of a session, in order."""
    return list(
        db.execute(
            select(AttendanceEvidence)
            .where(AttendanceEvidence.scheduled_session_id == session_id)
            .order_by(AttendanceEvidence.recorded_at, AttendanceEvidence.id)
        ).scalars()
    )

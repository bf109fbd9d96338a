"""Writing down what happened, with what follows from it, in the transaction of the change itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.database import ring_later
from booking_tasks.identity import uuid7
from booking_tasks.jobs import store as jobs
from booking_tasks.journey import Happening, RequestFacts, SessionFacts, follow_up
from booking_tasks.models import ConsultationRequest, Event, ScheduledSession
from booking_tasks.occasion import Occasion


def record(
    db: Session,
    occasion: Occasion,
    type_: str,
    *,
    request: ConsultationRequest | None = None,
    session: ScheduledSession | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    former_consultant: UUID | None = None,
    consultant_user_id: UUID | None = None,
) -> UUID:
    """Write one event and the jobs it leads to; returns the event's id.

    `before` and `after` hold what changed, as JSON values. Give `request` for request events and
    `session` for session events, already changed; `former_consultant` is whose the session was before,
    `consultant_user_id` whom a request event is about while the request is assigned to nobody.
    """
    event = Event(
        id=uuid7(),
        type=type_,
        occurred_at=occasion.now,
        consultation_request_id=_request_id(request, session),
        scheduled_session_id=session.id if session else None,
        consultant_user_id=consultant_user_id or _consultant(request, session),
        actor=occasion.actor,
        door=occasion.door,
        message_id=occasion.message_id,
        reason=reason,
        before=before or {},
        after=after or {},
    )
    db.add(event)
    db.flush()
    happening = Happening(
        type=type_,
        event_id=event.id,
        now=occasion.now,
        policies=occasion.policies,
        request=request_facts(request) if request else None,
        session=session_facts(session, former_consultant) if session else None,
    )
    made = jobs.add(db, follow_up(happening))
    ring_later(db, {job.kind for job in made if job.due_at <= occasion.now})
    return event.id


def request_facts(request: ConsultationRequest) -> RequestFacts:
    """A request as the journey sees it."""
    return RequestFacts(
        id=request.id,
        requester_user_id=request.requester_user_id,
        consultant_user_id=request.assigned_consultant_user_id,
    )


def session_facts(session: ScheduledSession, former_consultant: UUID | None = None) -> SessionFacts:
    """A session as the journey sees it."""
    return SessionFacts(
        id=session.id,
        request_id=session.consultation_request_id,
        revision=session.revision,
        start=session.scheduled_start_time,
        end=session.scheduled_end_time,
        requester_user_id=session.requester_user_id,
        consultant_user_id=session.consultant_user_id,
        join_url=session.meeting_platform_join_url,
        former_consultant_user_id=former_consultant,
    )


def _request_id(request: ConsultationRequest | None, session: ScheduledSession | None) -> UUID | None:
    if request is not None:
        return request.id
    return session.consultation_request_id if session is not None else None


def _consultant(request: ConsultationRequest | None, session: ScheduledSession | None) -> UUID | None:
    if session is not None:
        return session.consultant_user_id
    return request.assigned_consultant_user_id if request is not None else None

"""Writing down what happened, with what follows from it, in the transaction of the change itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Occasion
from booking_tasks.kit.database import ring_later
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.outbox import store as jobs
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.workflow import Happening, PlanFacts, RequestFacts, SessionFacts, follow_up


@dataclass(frozen=True)
class Entry:
    """What is to be written down: a row of `events` as JSON, and the jobs it leads to."""

    event: dict[str, Any]
    jobs: list[NewJob]

    def job_rows(self) -> list[dict[str, Any]]:
        """The jobs as JSON, each with a new id."""
        return jobs.rows(self.jobs)

    def as_json(self) -> dict[str, Any]:
        """The event and its jobs, to be written by the statement that writes what happened."""
        return {"event": self.event, "jobs": self.job_rows()}

    def kinds_due(self, now: datetime) -> set[str]:
        """The kinds of job whose bell should ring when this is written."""
        return {job.kind for job in self.jobs if job.due_at <= now}


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
    plan: PlanFacts | None = None,
) -> UUID:
    """Write one event and the jobs it leads to; returns the event's id.

    `before` and `after` hold what changed, as JSON values. Give `request` for request events and
    `session` for session events, already changed; `former_consultant` is whose the session was before,
    `consultant_user_id` whom a request event is about while the request is assigned to nobody, `plan` which
    absence plan, or which proposal of one, it is about.
    """
    made = entry(
        occasion,
        type_,
        request=request_facts(request) if request else None,
        session=session_facts(session, former_consultant) if session else None,
        before=before,
        after=after,
        reason=reason,
        consultant_user_id=consultant_user_id,
        plan=plan,
    )
    write(db, occasion, made)
    return UUID(made.event["id"])


def write(db: Session, occasion: Occasion, made: Entry) -> None:
    """Write down an entry that was made before."""
    db.flush()
    new = jobs.add(db, made.jobs, made.event)
    ring_later(db, Entry(made.event, new).kinds_due(occasion.now))


def entry(
    occasion: Occasion,
    type_: str,
    *,
    request: RequestFacts | None = None,
    session: SessionFacts | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    consultant_user_id: UUID | None = None,
    plan: PlanFacts | None = None,
) -> Entry:
    """What `record` writes, for a statement that writes it together with the change itself."""
    event_id = uuid7()
    happening = Happening(
        type=type_,
        event_id=event_id,
        now=occasion.now,
        policies=occasion.policies,
        request=request,
        session=session,
        plan=plan,
    )
    row = {
        "id": str(event_id),
        "type": type_,
        "occurred_at": occasion.now.isoformat(),
        "consultation_request_id": _text(_request_id(request, session)),
        "scheduled_session_id": _text(session.id if session else None),
        "consultant_user_id": _text(consultant_user_id or _consultant(request, session)),
        "actor": occasion.actor,
        "door": occasion.door,
        "message_id": _text(occasion.message_id),
        "reason": reason,
        "before": before or {},
        "after": after or {},
    }
    return Entry(row, follow_up(happening))


def request_facts(request: ConsultationRequest) -> RequestFacts:
    """A request as the journey sees it."""
    return RequestFacts(
        id=request.id,
        requester_user_id=request.requester_user_id,
        consultant_user_id=request.assigned_consultant_user_id,
        fallback_after=request.fallback_after,
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


def _request_id(request: RequestFacts | None, session: SessionFacts | None) -> UUID | None:
    if request is not None:
        return request.id
    return session.request_id if session is not None else None


def _consultant(request: RequestFacts | None, session: SessionFacts | None) -> UUID | None:
    if session is not None:
        return session.consultant_user_id
    return request.consultant_user_id if request is not None else None


def _text(id_: UUID | None) -> str | None:
    return None if id_ is None else str(id_)

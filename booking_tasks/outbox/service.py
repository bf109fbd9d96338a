"""Recording events with the jobs that follow from them, in the transaction of the change itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.outbox import store as jobs
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.outbox.workflow import (
    NO_UPDATE,
    DomainEvent,
    InviteUpdate,
    PlanSnapshot,
    RequestSnapshot,
    SessionSnapshot,
    jobs_for,
)


@dataclass(frozen=True)
class OutboxEntry:
    """A row of `events` as JSON, and the jobs that follow from it."""

    event: dict[str, Any]
    jobs: list[NewJob]

    def as_json(self) -> dict[str, Any]:
        """The event and its jobs, for the statement that inserts them together with the change."""
        return {"event": self.event, "jobs": jobs.rows(self.jobs)}

    def job_types_due(self, now: datetime) -> set[JobType]:
        """The types of job whose workers are to be woken when this is committed."""
        return {job.job_type for job in self.jobs if job.due_at <= now}


def record_event(
    db: Session,
    ctx: Context,
    type_: EventType,
    *,
    request: ConsultationRequest | None = None,
    session: ScheduledSession | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    former_consultant: UUID | None = None,
    consultant_user_id: UUID | None = None,
    plan: PlanSnapshot | None = None,
    update: InviteUpdate = NO_UPDATE,
) -> UUID:
    """Insert one event and the jobs that follow from it; returns the event's id.

    `before` and `after` hold what changed, as JSON values. Request events need `request` and session events
    need `session`, already changed. `former_consultant` had the session before; `consultant_user_id` is the
    consultant of a request event while the request is assigned to nobody; `plan` is the absence plan, or the
    proposal of one, of the event; `update` says whose invitations it sends again.
    """
    made = outbox_entry(
        ctx,
        type_,
        request=request_snapshot(request) if request else None,
        session=session_snapshot(session, former_consultant) if session else None,
        before=before,
        after=after,
        reason=reason,
        consultant_user_id=consultant_user_id,
        plan=plan,
        update=update,
    )
    append_event(db, ctx, made)
    return UUID(made.event["id"])


def append_event(db: Session, ctx: Context, made: OutboxEntry) -> None:
    """Insert an entry that was made before, and wake workers after the commit."""
    db.flush()
    new = jobs.insert_jobs(db, made.jobs, made.event)
    wake_after_commit(db, OutboxEntry(made.event, new).job_types_due(ctx.now))


def outbox_entry(
    ctx: Context,
    type_: EventType,
    *,
    request: RequestSnapshot | None = None,
    session: SessionSnapshot | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    consultant_user_id: UUID | None = None,
    plan: PlanSnapshot | None = None,
    update: InviteUpdate = NO_UPDATE,
) -> OutboxEntry:
    """What `record_event` inserts, for a statement that inserts it together with the change itself."""
    event_id = uuid7()
    event = DomainEvent(type_, event_id, ctx.now, ctx.policies, request, session, plan, update)
    subject = session or request
    ids = {
        "consultation_request_id": request.id if request else session.request_id if session else None,
        "scheduled_session_id": session.id if session else None,
        "consultant_user_id": consultant_user_id or (subject.consultant_user_id if subject else None),
        "message_id": ctx.message_id,
    }
    row = {
        "id": str(event_id),
        "type": type_,
        "occurred_at": to_iso(ctx.now),
        "actor": ctx.actor,
        "entry_point": ctx.entry_point,
        "reason": reason,
        "before": before or {},
        "after": after or {},
        **{name: None if id_ is None else str(id_) for name, id_ in ids.items()},
    }
    return OutboxEntry(row, jobs_for(event))


def request_snapshot(request: ConsultationRequest) -> RequestSnapshot:
    """The snapshot of a request that the workflow needs."""
    return RequestSnapshot(
        id=request.id,
        requester_user_id=request.requester_user_id,
        consultant_user_id=request.assigned_consultant_user_id,
        fallback_after=request.fallback_after,
    )


def session_snapshot(session: ScheduledSession, former_consultant: UUID | None = None) -> SessionSnapshot:
    """The snapshot of a session that the workflow needs."""
    return SessionSnapshot(
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

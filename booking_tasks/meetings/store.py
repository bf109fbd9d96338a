"""The queries of the meetings package."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, any_, exists, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.enums import SessionStatus
from booking_tasks.jobs.store import has_job
from booking_tasks.meetings.rules import KnownSession
from booking_tasks.models import Event, Job, ScheduledSession
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The current row of a session, read again."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The current row of a session, locked against other changes until the transaction ends."""
    return db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id == session_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def sessions_without_link(db: Session, start: datetime, end: datetime) -> list[UUID]:
    """The sessions without a link that are scheduled to start after `start` and until `end`."""
    found = select(ScheduledSession.id).where(
        ScheduledSession.status == SessionStatus.SCHEDULED,
        ScheduledSession.meeting_platform_join_url.is_(None),
        ScheduledSession.scheduled_start_time > start,
        ScheduledSession.scheduled_start_time <= end,
    )
    return list(db.execute(found.order_by(ScheduledSession.scheduled_start_time)).scalars())


def was_ordered(db: Session, session_id: UUID) -> bool:
    """Whether a room for the session may ever have been ordered."""
    return has_job(
        db, Job.job_type == JobType.PROVISION_MEETING, Job.subject_id == session_id, Job.send_attempts > 0
    )


def has_invites(db: Session, session_id: UUID, revision: int) -> bool:
    """Whether invites of this revision exist, sent or still to be sent."""
    return has_job(
        db,
        Job.job_type == JobType.SEND_INVITE,
        Job.subject_id == session_id,
        Job.args["revision"].as_integer() == revision,
    )


def has_event(db: Session, type_: EventType, session_id: UUID, revision: int) -> bool:
    """Whether an event of this type exists for this revision of the session."""
    found = select(Event.id).where(
        Event.scheduled_session_id == session_id,
        Event.type == type_,
        Event.after["revision"].as_integer() == revision,
    )
    return db.execute(found.limit(1)).first() is not None


def sessions_to_compare(
    db: Session, listed: Iterable[UUID], start: datetime, end: datetime
) -> list[KnownSession]:
    """The sessions whose rooms are listed, and those scheduled to start from `start` until before `end`."""
    being_changed = exists().where(
        Job.subject_id == ScheduledSession.id,
        Job.job_type.in_((JobType.PROVISION_MEETING, JobType.CLOSE_MEETING)),
        Job.finished_at.is_(None),
    )
    ids = literal(list(listed), ARRAY(PG_UUID(as_uuid=True)))
    rows = db.execute(
        select(
            ScheduledSession.id,
            ScheduledSession.revision,
            ScheduledSession.status,
            ScheduledSession.scheduled_start_time.label("starts_at"),
            ScheduledSession.scheduled_end_time.label("ends_at"),
            (~being_changed).label("settled"),
        )
        .where(
            or_(
                ScheduledSession.id == any_(ids),
                and_(
                    ScheduledSession.status == SessionStatus.SCHEDULED,
                    ScheduledSession.scheduled_start_time >= start,
                    ScheduledSession.scheduled_start_time < end,
                ),
            )
        )
        .order_by(ScheduledSession.id)
    )
    return [KnownSession(**row) for row in rows.mappings()]

"""The queries of reminders, beside those about their readers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.models import Job, ScheduledSession
from booking_tasks.outbox.job_args import SendReminder


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The current row of a session."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def has_closer_reminder(db: Session, job: LeasedJob[SendReminder], now: datetime) -> bool:
    """Whether a reminder nearer to the start is due as well, as after an outage."""
    is_closer = Job.due_at > job.due_at, Job.due_at <= now
    return _has_other(db, job, Job.args["revision"].as_integer() >= job.args.revision, *is_closer)


def is_repeated(db: Session, job: LeasedJob[SendReminder]) -> bool:
    """Whether a later revision of the session has the same reminder again."""
    is_same = Job.args["seconds_before"].as_integer() == job.args.seconds_before
    return _has_other(db, job, Job.args["revision"].as_integer() > job.args.revision, is_same)


def _has_other(db: Session, job: LeasedJob[SendReminder], *conditions: ColumnElement[bool]) -> bool:
    other = select(Job.id).where(
        Job.job_type == job.job_type,
        Job.subject_id == job.args.session_id,
        Job.args["recipient"].astext == str(job.args.recipient),
        *conditions,
    )
    return db.execute(other.limit(1)).first() is not None

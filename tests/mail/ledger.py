"""Jobs written by hand and read back, each in a transaction of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from booking_tasks.kit.database import transaction
from booking_tasks.models import Job, ScheduledSession
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import JobArgs
from booking_tasks.outbox.jobs import NewJob
from tests import builders
from tests.builders import booked_session

#: Long due on any clock.
DUE = datetime(2026, 1, 1, tzinfo=UTC)


def committed_session(**values: Any) -> ScheduledSession:
    """A booked session that other connections see."""
    with transaction() as db:
        return booked_session(db, **values)


def order(args: JobArgs, due: datetime = DUE) -> str:
    """Insert a job; returns its key."""
    job = NewJob(args, due)
    with transaction() as db:
        assert outbox_store.insert_jobs(db, [job]) == [job]
    return job.key


def found(key: str) -> Job:
    """The job as it stands."""
    with transaction() as db:
        return db.execute(select(Job).where(Job.key == key)).scalar_one()


def change(session: ScheduledSession, **values: object) -> None:
    """Change a session behind its job's back, as a use case in another process does."""
    with transaction() as db:
        builders.change_session(db, db.get_one(ScheduledSession, session.id), **values)


def set_state(key: str, state: str, send_attempts: int) -> None:
    """Pretend that a job ended (or is at work) after so many send attempts."""
    with transaction() as db:
        row = db.execute(select(Job).where(Job.key == key)).scalar_one()
        row.state, row.send_attempts = state, send_attempts
        if state in {"leased", "sending"}:
            row.lease_token, row.lease_until = row.id, datetime(2100, 1, 1, tzinfo=UTC)
        elif state != "waiting":
            row.finished_at = DUE

"""The job that brings invitations up to date after a name or an address has changed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox.job_args import UpdateInvites
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.outbox.store import insert_jobs


def update_invites(db: Session, ctx: Context, changed_id: UUID) -> None:
    """Order the update of the invitations ahead that show this person or service type."""
    new = insert_jobs(db, [NewJob(UpdateInvites(changed_id, uuid7()), ctx.now)])
    wake_after_commit(db, {job.job_type for job in new})

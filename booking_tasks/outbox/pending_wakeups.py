"""The wake-ups that a transaction notes: which job types to announce once it has committed."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlalchemy.orm import Session

from booking_tasks.outbox.job_args import JobType

_KEY = "booking_tasks.wakeups"


def wake_after_commit(db: Session, job_types: AbstractSet[JobType]) -> None:
    """Note job types of which something is due as soon as this transaction commits."""
    db.info.setdefault(_KEY, set()).update(job_types)


def pending_wakeups(db: Session) -> set[JobType]:
    """The noted job types. After a rollback they mean nothing, and the caller must not use them."""
    found: set[JobType] = db.info.get(_KEY, set())
    return found

"""Jobs that wait for their next try: made due when their target recovers, or by an operator."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from booking_tasks.enums import JobState, PutOffReason, Target
from booking_tasks.jobs.rules import MOST_RECOVERIES, OF_TARGET, JobFilter
from booking_tasks.jobs.store import jobs_matching
from booking_tasks.models import Job
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import job_types_of
from booking_tasks.sql import query

#: Over how much time the jobs of a target that has recovered are spread.
RECOVERY_SPREAD = timedelta(seconds=60)

#: Stable within a statement, so that an index serves comparisons with it.
_NOW = func.statement_timestamp()


def make_due_after_recovery(db: Session, target: Target) -> int:
    """Spread the jobs that the target's failure put off evenly over the next minute; returns how many.

    Jobs that are due within that time already are left alone, so a second success finds nothing to do. So are
    jobs that failed again after several recoveries (`MOST_RECOVERIES`). Rows that others have locked are left
    out.
    """
    changed = db.execute(
        query(__package__, "make_due_after_recovery"),
        {
            "job_types": job_types_of(target),
            "reasons": list(OF_TARGET),
            "recovered": PutOffReason.RECOVERED,
            "most": MOST_RECOVERIES,
            "spread": RECOVERY_SPREAD / timedelta(seconds=1),
        },
    )
    return len(changed.all())


def make_due_for_person(db: Session, user_id: UUID) -> set[JobType]:
    """Make the jobs that wait for the directory's entry of a person due at once; returns their types."""
    changed = db.execute(
        update(Job)
        .where(
            Job.state == JobState.WAITING,
            Job.put_off_reason == PutOffReason.DIRECTORY,
            Job.retry_at.is_not(None),
            Job.job_type.in_(job_types_of(Target.MAIL)),
            Job.args["recipient"].astext == str(user_id),
        )
        .values(retry_at=_NOW)
        .execution_options(synchronize_session=False)
        .returning(Job.job_type)
    )
    return {JobType(name) for name in changed.scalars()}


def make_due_now(db: Session, which: JobFilter, limit: int) -> tuple[list[UUID], set[JobType]]:
    """Make the put-off jobs that a filter selects due at once; returns their ids and types."""
    chosen = jobs_matching(db, which, limit)
    changed = db.execute(
        update(Job)
        .where(Job.id.in_([job.id for job in chosen]), Job.state == JobState.WAITING)
        .values(retry_at=_NOW)
        .execution_options(synchronize_session=False)
        .returning(Job.id, Job.job_type)
    ).all()
    return [id_ for id_, _ in changed], {JobType(name) for _, name in changed if name in list(JobType)}

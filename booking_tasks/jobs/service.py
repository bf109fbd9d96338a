"""The use cases of the jobs table beside running jobs: wake workers, recover, replay, discard."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs import put_off, store
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.models import Job
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import JOB_TYPES, OnUnknownResult
from booking_tasks.outbox.pending_wakeups import wake_after_commit

#: From which number of send attempts an unknown result is left to a person; None means never.
_REPEAT_BELOW = {OnUnknownResult.REPEAT: None, OnUnknownResult.REPEAT_ONCE: 2, OnUnknownResult.NEVER: 0}


def wake_due_jobs(db: Session, now: datetime) -> int:
    """Wake workers for every job type of which something is due; returns how many types."""
    job_types = store.due_job_types(db, now)
    wake_after_commit(db, job_types)
    return len(job_types)


def recover(db: Session) -> int:
    """Release the jobs that vanished workers held, by the policy of each type; returns how many."""
    repeat_below = {
        job_type: _REPEAT_BELOW[policy.on_unknown_result] for job_type, policy in JOB_TYPES.items()
    }
    return store.return_expired_leases(db) + store.resolve_unknown_results(db, repeat_below)


def replay(db: Session, ctx: Context, which: JobFilter, reason: str, limit: int = 1000) -> list[UUID]:
    """Run dead and uncertain jobs again under their old keys, and record who decided it and why.

    Returns their ids; a job in another state is not touched.
    """
    chosen = store.jobs_matching(db, which, limit, undecided=True)
    for job in chosen:
        _record(db, ctx, EventType.JOB_REPLAYED, job, reason)
        store.replay(db, job.id)
    wake_after_commit(db, {JobType(job.job_type) for job in chosen if job.job_type in JOB_TYPES})
    return [job.id for job in chosen]


def discard(db: Session, ctx: Context, which: JobFilter, reason: str, limit: int = 1000) -> list[UUID]:
    """End dead and uncertain jobs undone for good, and record who decided it and why; returns their ids."""
    chosen = store.jobs_matching(db, which, limit, undecided=True)
    for job in chosen:
        _record(db, ctx, EventType.JOB_DISCARDED, job, reason)
        store.discard(db, job.id, f"discarded by {ctx.actor}: {reason}")
    return [job.id for job in chosen]


def retry_now(db: Session, which: JobFilter, limit: int = 1000) -> list[UUID]:
    """Try put-off jobs now instead of when their wait is over, as after an outage; returns their ids."""
    ids, job_types = put_off.make_due_now(db, replace(which, put_off=True), limit)
    wake_after_commit(db, job_types)
    return ids


def jobs_matching(db: Session, which: JobFilter, limit: int) -> list[Job]:
    """The jobs that an operator's filter selects, oldest first."""
    return store.jobs_matching(db, which, limit)


def _record(db: Session, ctx: Context, type_: EventType, job: Job, reason: str) -> None:
    request, session = store.subject(db, job)
    outbox.record_event(
        db,
        ctx,
        type_,
        request=request,
        session=session,
        before={
            "job": str(job.id),
            "job_type": job.job_type,
            "state": job.state,
            "attempts": job.attempts,
            "send_attempts": job.send_attempts,
            "error": job.last_error,
        },
        reason=reason,
    )

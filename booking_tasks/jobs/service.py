"""The job ledger's use cases beside running jobs: ring for what is due, recover, replay, discard."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.models import Job
from booking_tasks.outbox import service as history
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.jobs import JOB_TYPES
from booking_tasks.outbox.pending_wakeups import wake_after_commit


def wake_due_jobs(db: Session, now: datetime) -> int:
    """Ring for every kind of which something is due; returns how many kinds."""
    kinds = store.due_kinds(db, now)
    wake_after_commit(db, kinds)
    return len(kinds)


def recover(db: Session) -> int:
    """Give back what vanished workers held; returns how many jobs. Policy per kind: rules.KINDS."""
    limits = {"repeat": None, "repeat_once": 2, "never": 0}
    repeat_below = {name: limits[kind.on_unknown_result] for name, kind in JOB_TYPES.items()}
    return store.return_expired_leases(db) + store.settle_lost_outcomes(db, repeat_below)


def replay(db: Session, ctx: Context, which: JobFilter, reason: str, limit: int = 1000) -> list[UUID]:
    """Run dead and uncertain jobs again under their old keys, and write down who wanted it and why.

    Returns their ids; none of them is among jobs in another state.
    """
    chosen = store.wanted(db, which, limit, undecided=True)
    for job in chosen:
        _write_down(db, ctx, EventType.JOB_REPLAYED, job, reason)
        store.replay(db, job.id)
    wake_after_commit(db, {job.job_type for job in chosen})
    return [job.id for job in chosen]


def discard(db: Session, ctx: Context, which: JobFilter, reason: str, limit: int = 1000) -> list[UUID]:
    """Leave dead and uncertain jobs undone for good, and write down who wanted it and why; their ids."""
    chosen = store.wanted(db, which, limit, undecided=True)
    for job in chosen:
        _write_down(db, ctx, EventType.JOB_DISCARDED, job, reason)
        store.discard(db, job.id, f"discarded by {ctx.actor}: {reason}")
    return [job.id for job in chosen]


def listed(db: Session, which: JobFilter, limit: int) -> list[Job]:
    """The jobs that an operator means, oldest first."""
    return store.wanted(db, which, limit)


def _write_down(db: Session, ctx: Context, type_: EventType, job: Job, reason: str) -> None:
    request, session = store.subject(db, job)
    history.record_event(
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

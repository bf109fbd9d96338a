"""The sweeps over the jobs table."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs import service
from booking_tasks.outbox.job_args import JobType
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, unit_of_work

_ANY_DUE = query(__package__, "any_due")
_ANY_LEASE_OVER = query(__package__, "any_lease_over")


@app.task(name=TASK_PREFIX + "wake_due_jobs")
def wake_due_jobs() -> int:
    """Wake workers for everything that is due, because a wake-up message may be lost."""
    if not finds_any(_ANY_DUE, job_types=list(JobType)):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.wake_due_jobs(db, ctx.now)


@app.task(name=TASK_PREFIX + "recover_jobs")
def recover_jobs() -> int:
    """Release the jobs that vanished workers held."""
    if not finds_any(_ANY_LEASE_OVER):
        return 0
    with unit_of_work("sweep", "sweep") as (db, _):
        return service.recover(db)

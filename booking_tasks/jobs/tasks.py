"""The sweeps over the jobs table."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs import service
from booking_tasks.unit_of_work import unit_of_work


@app.task(name=TASK_PREFIX + "wake_due_jobs")
def wake_due_jobs() -> int:
    """Wake workers for everything that is due, because a wake-up message may be lost."""
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.wake_due_jobs(db, ctx.now)


@app.task(name=TASK_PREFIX + "recover_jobs")
def recover_jobs() -> int:
    """Release the jobs that vanished workers held."""
    with unit_of_work("sweep", "sweep") as (db, _):
        return service.recover(db)

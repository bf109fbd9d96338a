"""Sweeps of the job ledger."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs import service
from booking_tasks.unit_of_work import unit_of_work


@app.task(name=TASK_PREFIX + "wake_due_jobs")
def wake_due_jobs() -> int:
    """Ring for everything that is due, however its first ring was lost."""
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.wake_due_jobs(db, ctx.now)


@app.task(name=TASK_PREFIX + "recover_jobs")
def recover_jobs() -> int:
    """Give back what vanished workers held."""
    with unit_of_work("sweep", "sweep") as (db, _):
        return service.recover(db)

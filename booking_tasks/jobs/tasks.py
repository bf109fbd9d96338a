"""Sweeps of the job ledger."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.jobs import service
from booking_tasks.unit_of_work import occasion


@app.task(name=TASK_PREFIX + "ring_for_due")
def ring_for_due() -> int:
    """Ring for everything that is due, however its first ring was lost."""
    with occasion("sweep", "sweep") as (db, moment):
        return service.ring_for_due(db, moment.now)


@app.task(name=TASK_PREFIX + "recover_jobs")
def recover_jobs() -> int:
    """Give back what vanished workers held."""
    with occasion("sweep", "sweep") as (db, _):
        return service.recover(db)

"""The sweep of the fairness ledger."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.credits import service
from booking_tasks.unit_of_work import unit_of_work


@app.task(name=TASK_PREFIX + "credit_leaves")
def credit_leaves() -> int:
    """Credit the leaves that have ended, so that each consultant returns to their own turn."""
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.credit_leaves(db, ctx)

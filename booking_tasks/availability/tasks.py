"""The sweep of the slot ledger."""

from __future__ import annotations

from booking_tasks.availability import service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.unit_of_work import unit_of_work


@app.task(name=TASK_PREFIX + "expire_holds")
def expire_holds() -> int:
    """Delete holds whose time is over."""
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.expire_holds(db, ctx)

"""The sweep of the slot ledger."""

from __future__ import annotations

from booking_tasks.availability import service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, unit_of_work

_ANY_HOLD_OVER = query(__package__, "any_hold_over")


@app.task(name=TASK_PREFIX + "expire_holds")
def expire_holds() -> int:
    """Delete holds whose time is over."""
    if not finds_any(_ANY_HOLD_OVER):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.expire_holds(db, ctx)

"""The sweep of the fairness ledger."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.credits import service, store
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, unit_of_work

_ANY_LEAVE_OVER = query(__package__, "any_leave_over")


@app.task(name=TASK_PREFIX + "credit_leaves")
def credit_leaves() -> int:
    """Credit the leaves that have ended, so that each consultant returns to their own turn."""
    if not finds_any(_ANY_LEAVE_OVER, lookback=store.LOOKBACK, zones=store.ZONES):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.credit_leaves(db, ctx)

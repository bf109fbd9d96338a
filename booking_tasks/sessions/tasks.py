"""The public tasks of sessions, and the sweep that starts them."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, CancelSession, RescheduleSession
from booking_tasks.inbox.receiver import accepts
from booking_tasks.sessions import service
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, unit_of_work

_ANY_TO_START = query(__package__, "any_to_start")

reschedule_session = accepts(RescheduleSession)(service.reschedule)
cancel_session = accepts(CancelSession)(service.cancel)


@app.task(name=TASK_PREFIX + "advance_sessions")
def advance_sessions() -> int:
    """Start the sessions whose start has come; return how many."""
    if not finds_any(_ANY_TO_START):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.start_due_sessions(db, ctx)

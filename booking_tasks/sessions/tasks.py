"""The public tasks of sessions, and the sweep that starts them."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, CancelSession, RescheduleSession
from booking_tasks.inbox.receiver import accepts
from booking_tasks.sessions import service
from booking_tasks.unit_of_work import unit_of_work

reschedule_session = accepts(RescheduleSession)(service.reschedule)
cancel_session = accepts(CancelSession)(service.cancel)


@app.task(name=TASK_PREFIX + "advance_sessions")
def advance_sessions() -> int:
    """Start the sessions whose start has come; return how many."""
    with unit_of_work("sweep", "sweep") as (db, ctx):
        return service.start_due_sessions(db, ctx)

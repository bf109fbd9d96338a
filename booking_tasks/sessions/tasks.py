"""Public tasks and sweeps of the room."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, CancelSession, RescheduleSession
from booking_tasks.inbox.tasks import accepts
from booking_tasks.sessions import service
from booking_tasks.unit_of_work import occasion

reschedule_session = accepts(RescheduleSession)(service.reschedule)
cancel_session = accepts(CancelSession)(service.cancel)


@app.task(name=TASK_PREFIX + "advance_sessions")
def advance_sessions() -> int:
    """Start what begins now."""
    with occasion("sweep", "sweep") as (db, moment):
        return service.start_due(db, moment)

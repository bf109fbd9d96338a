"""Public tasks and sweeps of the room."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, CancelSession, RescheduleSession, SessionOutcome
from booking_tasks.doorbell import occasion
from booking_tasks.inbox.tasks import accepts
from booking_tasks.occasion import Occasion
from booking_tasks.sessions import service


@accepts(RescheduleSession)
def reschedule_session(db: Session, moment: Occasion, command: RescheduleSession) -> SessionOutcome:
    return service.reschedule(db, moment, command)


@accepts(CancelSession)
def cancel_session(db: Session, moment: Occasion, command: CancelSession) -> SessionOutcome:
    return service.cancel(db, moment, command)


@app.task(name=TASK_PREFIX + "advance_sessions")
def advance_sessions() -> int:
    """Start what begins now."""
    with occasion("sweep", "sweep") as (db, moment):
        return service.start_due(db, moment)

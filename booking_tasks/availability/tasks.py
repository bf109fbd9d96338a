"""Public tasks and sweeps of the room."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.availability import service
from booking_tasks.celery import app
from booking_tasks.contracts import (
    TASK_PREFIX,
    AvailabilityOutcome,
    SearchOutcome,
    SearchSlots,
    SetAvailability,
)
from booking_tasks.doorbell import occasion
from booking_tasks.inbox.tasks import accepts, answers
from booking_tasks.occasion import Occasion
from booking_tasks.schedule import first_today


@accepts(SetAvailability)
def set_availability(db: Session, moment: Occasion, command: SetAvailability) -> AvailabilityOutcome:
    return service.set_availability(db, moment, command)


@answers(SearchSlots)
def search_slots(db: Session, moment: Occasion, query: SearchSlots) -> SearchOutcome:
    return service.search_slots(db, moment, query)


@app.task(name=TASK_PREFIX + "expire_holds")
def expire_holds() -> int:
    """Tidy holds whose time is over."""
    with occasion("sweep", "sweep") as (db, moment):
        return service.expire_holds(db, moment)


@app.task(name=TASK_PREFIX + "extend_availability")
def extend_availability() -> int:
    """Once a day: windows for the new last day of the horizon, one consultant a transaction."""
    with occasion("sweep", "sweep") as (db, moment):
        if not first_today(db, "extend_availability", moment.now):
            return 0
        consultants = service.consultants_to_extend(db)
    for consultant_user_id in consultants:
        with occasion("sweep", "sweep") as (db, moment):
            service.extend(db, moment, consultant_user_id)
    return len(consultants)

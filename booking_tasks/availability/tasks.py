"""Public tasks and sweeps of the room."""

from __future__ import annotations

from booking_tasks.availability import service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, SetAvailability
from booking_tasks.doorbell import occasion, one_by_one
from booking_tasks.inbox.tasks import accepts
from booking_tasks.schedule import first_today, ran_today
from booking_tasks.stopping import stopping

set_availability = accepts(SetAvailability)(service.set_availability)


@app.task(name=TASK_PREFIX + "expire_holds")
def expire_holds() -> int:
    """Tidy holds whose time is over."""
    with occasion("sweep", "sweep") as (db, moment):
        return service.expire_holds(db, moment)


@app.task(name=TASK_PREFIX + "extend_availability")
def extend_availability() -> int:
    """Once a day: windows for the new last day of the horizon, one consultant a transaction.

    The day's run is taken when all are through: what a dead worker left, the next tick does.
    """
    with occasion("sweep", "sweep") as (db, moment):
        if ran_today(db, "extend_availability", moment.now):
            return 0
        consultants = service.consultants_to_extend(db)
    extended = one_by_one(consultants, service.extend)
    if not stopping():
        with occasion("sweep", "sweep") as (db, _):
            first_today(db, "extend_availability", moment.now)
    return extended

"""The package's public tasks, and the daily sweep that extends windows to the horizon."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, AddLeave, PreviewAvailability, RemoveLeave, SetAvailability
from booking_tasks.hours import preview, service
from booking_tasks.inbox.receiver import accepts, answers
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.outbox.daily_runs import claim_daily_run, has_run_today
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work

_ANY_TO_PROJECT = query(__package__, "any_to_project")

set_availability = accepts(SetAvailability)(service.set_availability)
add_leave = accepts(AddLeave)(service.add_leave)
preview_availability = answers(PreviewAvailability)(preview.preview_availability)
remove_leave = accepts(RemoveLeave)(service.remove_leave)


@app.task(name=TASK_PREFIX + "extend_availability")
def extend_availability() -> int:
    """Project windows for the new last day of the horizon once a day; return how many consultants.

    Each consultant has a transaction of their own. The daily run is claimed after all of them, so that the
    next tick finishes what a worker that died left. Later ticks of the day correct windows that were
    projected with an older time zone database.
    """
    if not finds_any(_ANY_TO_PROJECT, tzdata_version=tzdata_version()):
        return 0
    with unit_of_work("sweep", "sweep") as (db, ctx):
        if has_run_today(db, "extend_availability", ctx.now):
            consultants = service.consultants_to_correct(db)
        else:
            consultants = service.consultants_to_extend(db)
    extended = for_each_in_own_transaction(consultants, service.extend)
    if not is_requested():
        with unit_of_work("sweep", "sweep") as (db, _):
            claim_daily_run(db, "extend_availability", ctx.now)
    return extended

"""The sweep that plans the waiting requests as one batch."""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile
from time import monotonic

from booking_tasks.batch import service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.database import try_lock
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, for_each_in_own_transaction, unit_of_work

#: Well below the time limit of a task. What is not reached is planned anew by the next sweep.
_LONGEST = timedelta(minutes=4)
_ANY_WAITING = query(__package__, "any_waiting")


@app.task(name=TASK_PREFIX + "assign_waiting")
def assign_waiting() -> int:
    """Plan the waiting requests as one batch, then carry out the plan, one transaction per request."""
    if not finds_any(_ANY_WAITING):
        return 0
    until = monotonic() + _LONGEST / timedelta(seconds=1)
    with try_lock("assign_waiting", _LONGEST) as is_alone:
        return _one_batch(until) if is_alone else 0


def _one_batch(until: float) -> int:
    with unit_of_work("sweep", "sweep") as (db, ctx):
        snapshot, others = service.read_batch(db, ctx)
    plan = service.plan_batch(snapshot, others, ctx.policies.assignment_batch_time, monotonic)
    with unit_of_work("sweep", "sweep") as (db, ctx):
        plan = service.store_plan(db, ctx, plan)
    done = for_each_in_own_transaction(
        takewhile(lambda _: monotonic() < until, plan.request_ids_to_apply), plan.apply
    )
    with unit_of_work("sweep", "sweep") as (db, ctx):
        service.finish_plan(db, ctx, plan)
    return done

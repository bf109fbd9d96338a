"""The sweep that plans the waiting requests as one batch."""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile
from time import monotonic

from booking_tasks.batch import service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.database import try_lock
from booking_tasks.unit_of_work import for_each_in_own_transaction, unit_of_work

#: Well below the time limit of a task. What is not reached is planned anew by the next sweep.
_LONGEST = timedelta(minutes=4)


@app.task(name=TASK_PREFIX + "assign_waiting")
def assign_waiting() -> int:
    """Look again for requests that wait: planned as one batch, then one transaction each."""
    until = monotonic() + _LONGEST / timedelta(seconds=1)
    with try_lock("assign_waiting", _LONGEST) as alone:
        return _one_batch(until) if alone else 0


def _one_batch(until: float) -> int:
    with unit_of_work("sweep", "sweep") as (db, ctx):
        look, others = service.look(db, ctx)
    plan = service.planned(look, others, ctx.policies.assignment_batch_time, monotonic)
    with unit_of_work("sweep", "sweep") as (db, ctx):
        plan = service.keep(db, ctx, plan)
    done = for_each_in_own_transaction(takewhile(lambda _: monotonic() < until, plan.to_do), plan.apply)
    with unit_of_work("sweep", "sweep") as (db, ctx):
        service.finish(db, ctx, plan)
    return done

"""The way in for requests, the job that assigns one, and the sweep that looks again at those that wait."""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile
from time import monotonic

from sqlalchemy.orm import Session

from booking_tasks.assignment import asking, batch, explaining, service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, ExplainAssignment, SubmitRequest
from booking_tasks.database import if_alone
from booking_tasks.doorbell import occasion, one_by_one
from booking_tasks.inbox.tasks import accepts, answers
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due
from booking_tasks.occasion import Occasion

#: Well below the time limit of a task. What is not reached is planned anew by the next sweep.
_LONGEST = timedelta(minutes=4)

submit_request = accepts(SubmitRequest, when_too_long=asking.submit_only)(asking.submit)
explain_assignment = answers(ExplainAssignment)(explaining.explain)


class AssignRequest(InternalHandler):
    """Looks for a consultant and a time, and takes them."""

    def prepare(self, db: Session, occasion: Occasion, job: LeasedJob) -> Finished | Skipped:
        found = service.assign(db, occasion, job.subject_id)
        return Skipped("the request waits no longer") if found.result == "nothing" else Finished()


@app.task(name=TASK_PREFIX + "assign_request")
def assign_request() -> int:
    """Assign the requests whose time has come."""
    return run_due("assign_request", AssignRequest())


@app.task(name=TASK_PREFIX + "assign_waiting")
def assign_waiting() -> int:
    """Look again for requests that wait: planned as one batch, then one transaction each."""
    until = monotonic() + _LONGEST / timedelta(seconds=1)
    with if_alone("assign_waiting", _LONGEST) as alone:
        return _one_batch(until) if alone else 0


def _one_batch(until: float) -> int:
    with occasion("sweep", "sweep") as (db, moment):
        look, others = batch.look(db, moment)
    plan = batch.planned(look, others, moment.policies.assignment_batch_time, monotonic)
    with occasion("sweep", "sweep") as (db, moment):
        plan = batch.keep(db, moment, plan)
    done = one_by_one(takewhile(lambda _: monotonic() < until, plan.to_do), plan.apply)
    with occasion("sweep", "sweep") as (db, moment):
        batch.finish(db, moment, plan)
    return done

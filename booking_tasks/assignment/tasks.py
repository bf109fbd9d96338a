"""The way in for requests, the job that assigns one, and the sweep that looks again at those that wait."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.assignment import asking, service
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX, SubmitRequest
from booking_tasks.doorbell import occasion, one_by_one
from booking_tasks.inbox.tasks import accepts
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due
from booking_tasks.occasion import Occasion

submit_request = accepts(SubmitRequest)(asking.submit)


class AssignRequest(InternalHandler):
    """Looks for a consultant and a time, and takes them."""

    def prepare(self, db: Session, occasion: Occasion, job: LeasedJob) -> Finished | Skipped:
        found = service.assign(db, occasion, job.subject_id)
        return Skipped("the request waits no longer") if found.result == "nothing" else Finished()


@app.task(name=TASK_PREFIX + "assign_request")
def assign_request(job_id: str | None = None) -> int:
    """Assign the requests whose time has come."""
    return run_due("assign_request", AssignRequest(), job_id)


@app.task(name=TASK_PREFIX + "assign_waiting")
def assign_waiting() -> int:
    """Look again for requests that wait, one transaction each."""
    with occasion("sweep", "sweep") as (db, moment):
        waiting = service.waiting(db, moment)
    return one_by_one(waiting, service.assign)

"""The public tasks of requests, and the job that assigns one request."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.assignment import asking, explaining, service
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, ExplainAssignment, SubmitRequest
from booking_tasks.inbox.receiver import accepts, answers
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due

submit_request = accepts(SubmitRequest, when_too_long=asking.submit_only)(asking.submit)
explain_assignment = answers(ExplainAssignment)(explaining.explain)


class AssignRequest(InternalHandler):
    """Looks for a consultant and a time, and takes them."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob) -> Finished | Skipped:
        found = service.assign(db, ctx, job.subject_id)
        return Skipped("the request waits no longer") if found.result == "nothing" else Finished()


@app.task(name=TASK_PREFIX + "assign_request")
def assign_request() -> int:
    """Assign the requests whose time has come."""
    return run_due("assign_request", AssignRequest())

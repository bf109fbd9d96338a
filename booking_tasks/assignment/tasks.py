"""The public tasks that submit a request and explain its decisions, and the job that assigns one."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.assignment import explaining, service
from booking_tasks.assignment.decisions import AssignmentResult
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, ExplainAssignment, SubmitRequest
from booking_tasks.inbox.receiver import accepts, answers
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due
from booking_tasks.outbox.job_args import AssignRequest

submit_request = accepts(SubmitRequest, when_too_long=service.submit_only)(service.submit)
explain_assignment = answers(ExplainAssignment)(explaining.explain)


class AssignRequestHandler(InternalHandler):
    """Assigns a consultant and a start to the request of the job."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[AssignRequest]) -> Finished | Skipped:
        assignment = service.assign(db, ctx, job.args.request_id)
        if assignment.result == AssignmentResult.NOTHING:
            return Skipped("the request waits no longer")
        return Finished()


@app.task(name=TASK_PREFIX + "assign_request")
def assign_request() -> int:
    """Run the due jobs that assign a request."""
    return run_due(AssignRequest, AssignRequestHandler())

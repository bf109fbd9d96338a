"""Public tasks of the room, and the jobs that tell a plan and end a proposal."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.absence import announcing, plans, service
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import (
    TASK_PREFIX,
    AnswerProposal,
    ApplyAbsencePlan,
    PlanAbsence,
    ReassignSession,
    UndoAbsencePlan,
)
from booking_tasks.inbox.tasks import accepts
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due

reassign_session = accepts(ReassignSession)(service.reassign)
plan_absence = accepts(PlanAbsence)(plans.plan_absence)
apply_absence_plan = accepts(ApplyAbsencePlan)(plans.apply_plan)
undo_absence_plan = accepts(UndoAbsencePlan)(plans.undo_plan)
answer_proposal = accepts(AnswerProposal)(announcing.answer_proposal)


class AnnounceAbsence(InternalHandler):
    """Tells what a plan did."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob) -> Finished | Skipped:
        why_not = announcing.announce_due_plan(db, ctx, job.subject_id)
        return Finished() if why_not is None else Skipped(why_not)


class EndProposal(InternalHandler):
    """Ends what nobody answered."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob) -> Finished | Skipped:
        why_not = announcing.end_unanswered_proposal(db, ctx, job.subject_id, UUID(job.detail))
        return Finished() if why_not is None else Skipped(why_not)


@app.task(name=TASK_PREFIX + "announce_absence")
def announce_absence() -> int:
    """Tell the plans that can no longer be undone."""
    return run_due("announce_absence", AnnounceAbsence())


@app.task(name=TASK_PREFIX + "end_proposal")
def end_proposal() -> int:
    """End the sessions whose requester did not answer in time."""
    return run_due("end_proposal", EndProposal())

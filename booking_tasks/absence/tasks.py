"""The package's public tasks, and the jobs that announce a plan and end an unanswered proposal."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.absence import announcement, plans, service
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
from booking_tasks.inbox.receiver import accepts
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, run_due
from booking_tasks.outbox.job_args import AnnounceAbsence, EndProposal

reassign_session = accepts(ReassignSession)(service.reassign)
plan_absence = accepts(PlanAbsence)(plans.plan_absence)
apply_absence_plan = accepts(ApplyAbsencePlan)(plans.apply_plan)
undo_absence_plan = accepts(UndoAbsencePlan)(plans.undo_plan)
answer_proposal = accepts(AnswerProposal)(announcement.answer_proposal)


class AnnounceAbsenceHandler(InternalHandler):
    """Announces an applied plan."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[AnnounceAbsence]) -> Finished | Skipped:
        skip_reason = announcement.announce_due_plan(db, ctx, job.args.plan_id)
        return Finished() if skip_reason is None else Skipped(skip_reason)


class EndProposalHandler(InternalHandler):
    """Ends a proposal that the requester did not answer."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[EndProposal]) -> Finished | Skipped:
        skip_reason = announcement.end_unanswered_proposal(db, ctx, job.args.session_id, job.args.proposal_id)
        return Finished() if skip_reason is None else Skipped(skip_reason)


@app.task(name=TASK_PREFIX + "announce_absence")
def announce_absence() -> int:
    """Announce the plans whose grace period is over; return how many jobs were run."""
    return run_due(AnnounceAbsence, AnnounceAbsenceHandler())


@app.task(name=TASK_PREFIX + "end_proposal")
def end_proposal() -> int:
    """Cancel the sessions whose requester did not answer in time; return how many jobs were run."""
    return run_due(EndProposal, EndProposalHandler())

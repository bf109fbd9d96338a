"""The tasks of attendance: evidence and outcomes, the check at the grace time, and the verdicts."""

from __future__ import annotations

from sqlalchemy.orm import Session

from booking_tasks.attendance import service
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, RecordAttendance, RecordBilling, RecordOutcome
from booking_tasks.inbox.receiver import accepts
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, InternalHandler, Skipped, Step, run_due
from booking_tasks.kit.settings import settings
from booking_tasks.outbox.job_args import CheckAttendance
from booking_tasks.sql import query
from booking_tasks.unit_of_work import finds_any, unit_of_work

#: Sessions judged in one transaction: many end on the full hour, and none should be locked for long.
_BATCH = 200
_ANY_TO_JUDGE = query(__package__, "any_to_judge")

record_attendance = accepts(RecordAttendance)(service.record_attendance)
record_outcome = accepts(RecordOutcome)(service.record_outcome)
record_billing = accepts(RecordBilling)(service.record_billing)


class CheckAttendanceHandler(InternalHandler):
    """Checks the attendance of one session at its grace time."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[CheckAttendance]) -> Step:
        """Look; everything happens here."""
        skip_reason = service.check_attendance(db, ctx, job.args.session_id, job.args.revision)
        return Finished() if skip_reason is None else Skipped(skip_reason)


@app.task(name=TASK_PREFIX + "check_attendance")
def check_attendance() -> int:
    """Check the attendance of every session whose grace time has come; return how many."""
    return run_due(CheckAttendance, CheckAttendanceHandler())


@app.task(name=TASK_PREFIX + "judge_sessions")
def judge_sessions() -> int:
    """Judge every session whose verdict is due; return how many."""
    if not finds_any(_ANY_TO_JUDGE, delay=settings().policies.verdict_delay):
        return 0
    judged, last = 0, _BATCH
    while last == _BATCH:
        with unit_of_work("sweep", "sweep") as (db, ctx):
            last = service.judge_due(db, ctx, _BATCH)
        judged += last
    return judged

"""`booking-tasks jobs`: list, show, replay and discard jobs, and try those that wait for their next try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from booking_tasks.enums import Target
from booking_tasks.ops.console import (
    ENTRY_POINT,
    About,
    All,
    AsJson,
    MaxRows,
    Since,
    Who,
    Why,
    fail,
    operator_unit_of_work,
    print_ids,
    print_json,
    print_rows,
    read_only_transaction,
    require_filter,
)

if TYPE_CHECKING:
    from booking_tasks.models import Job

jobs = typer.Typer(no_args_is_help=True, help="The job ledger: list, show, retry-now, replay, discard.")

OneJob = Annotated[UUID | None, typer.Argument(metavar="JOB", help="One job; or use filters.")]
OfType = Annotated[str | None, typer.Option("--type", help="A job type, such as send_invite.")]
InState = Annotated[str | None, typer.Option("--state", help="A state, such as dead or uncertain.")]

OfTarget = Annotated[
    Target | None, typer.Option("--target", help="What the jobs' effects go to: meetings, mail or events.")
]
PutOff = Annotated[bool, typer.Option("--put-off", help="Only jobs that wait for their next try.")]

#: Not printed: the bytes that a job sends contain personal data, and the lease's token is a fence.
_NOT_SHOWN = {"payload", "lease_token"}


@jobs.command("list")
def list_jobs(
    job_type: OfType = None,
    state: InState = None,
    since: Since = None,
    about: About = None,
    target: OfTarget = None,
    put_off: PutOff = False,
    limit: MaxRows = 100,
    as_json: AsJson = False,
) -> None:
    """List the jobs that match all filters, oldest first."""
    from booking_tasks.jobs.rules import JobFilter
    from booking_tasks.jobs.service import jobs_matching

    which = JobFilter(None, job_type, _checked_state(state), since, about, target, put_off)
    with read_only_transaction() as db:
        rows = jobs_matching(db, which, limit)
    print_rows(rows, _record, _line, as_json=as_json)


@jobs.command("show")
def show_job(job: Annotated[UUID, typer.Argument()]) -> None:
    """Show one job, without the bytes that it sends."""
    from booking_tasks.jobs.rules import JobFilter
    from booking_tasks.jobs.service import jobs_matching

    with read_only_transaction() as db:
        rows = jobs_matching(db, JobFilter(job_id=job), 1)
    if not rows:
        fail(f"there is no job {job}")
    print_json(_record(rows[0]))


@jobs.command("retry-now")
def retry_now(
    job: OneJob = None,
    job_type: OfType = None,
    target: OfTarget = None,
    since: Since = None,
    about: About = None,
    limit: MaxRows = 1000,
    everything: All = False,
) -> None:
    """Try jobs that wait for their next try now, as when their target is back."""
    from booking_tasks.jobs import service
    from booking_tasks.jobs.rules import JobFilter
    from booking_tasks.unit_of_work import unit_of_work

    which = JobFilter(job, job_type, None, since, about, target)
    require_filter(which.selects_all, everything)
    with unit_of_work("operator", ENTRY_POINT) as (db, _):
        ids = service.retry_now(db, which, limit)
    print_ids(ids, "is tried now", f"{job or 'no job that matches'} waits for its next try")


@jobs.command("replay", help="Run dead or uncertain jobs again, each under its key.")
@jobs.command("discard", help="Skip dead or uncertain jobs for good.")
def decide_jobs(
    command: typer.Context,
    why: Why,
    who: Who,
    job: OneJob = None,
    job_type: OfType = None,
    state: InState = None,
    since: Since = None,
    about: About = None,
    limit: MaxRows = 1000,
    everything: All = False,
) -> None:
    """Replay or discard jobs, by the name of the command."""
    from booking_tasks.jobs import service
    from booking_tasks.jobs.rules import JobFilter

    decide, result = {
        "replay": (service.replay, "waits to run again"),
        "discard": (service.discard, "is discarded"),
    }[str(command.info_name)]
    which = JobFilter(job, job_type, _checked_state(state), since, about)
    require_filter(which.selects_all, everything)
    with operator_unit_of_work(who) as (db, ctx):
        ids = decide(db, ctx, which, why, limit)
    print_ids(ids, result, f"{job or 'no job that matches'} is dead or uncertain")


def _checked_state(state: str | None) -> str | None:
    from booking_tasks.enums import JobState

    if state is not None and state not in list(JobState):
        raise typer.BadParameter(f"is one of {', '.join(JobState)}", param_hint="--state")
    return state


def _record(row: Job) -> dict[str, Any]:
    return {
        column.name: getattr(row, column.name)
        for column in row.__table__.columns
        if column.name not in _NOT_SHOWN
    }


def _line(row: Job) -> str:
    error = f"  {row.last_error}" if row.last_error else ""
    return (
        f"{row.id}  {row.state:<9} {row.job_type:<18} {row.subject_id}  due {row.due_at:%Y-%m-%d %H:%M}Z"
        f"  attempts {row.attempts}{error}"
    )

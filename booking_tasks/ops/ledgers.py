"""The operator's view of the ledgers: one request's story, the jobs, the dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from uuid import UUID

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from booking_tasks.context import Context
    from booking_tasks.models import DeadLetter, Job

jobs = typer.Typer(no_args_is_help=True, help="The job ledger: list, show, replay, discard.")
dead = typer.Typer(no_args_is_help=True, help="Messages that could not be used: list, show, replay, discard.")


def add_to(cli: typer.Typer) -> None:
    """Make these commands part of the command line."""
    cli.command()(story)
    cli.add_typer(jobs, name="jobs")
    cli.add_typer(dead, name="dead")


def _instant(value: str) -> datetime:
    """`2027-03-01T09:00Z`, or an age such as `90m`, `2d`."""
    from pydantic import TypeAdapter, ValidationError

    from booking_tasks.kit.settings import Duration

    try:
        age = TypeAdapter(Duration).validate_python(value)
    except ValidationError:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            raise typer.BadParameter("write an instant like 2027-03-01T09:00Z or an age like 2h") from None
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return datetime.now(UTC) - age


AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, oldest first.")]
Since = Annotated[
    datetime | None, typer.Option(parser=_instant, metavar="WHEN", help="An instant, or an age like 2h.")
]
Who = Annotated[str, typer.Option(envvar="USER", help="Who decides; kept in the history.")]
Why = Annotated[str, typer.Option(help="The reason; kept in the history.")]
All = Annotated[bool, typer.Option("--all", help="Needed to decide without any filter.")]
JobId = Annotated[UUID | None, typer.Argument(help="One job; or use filters.")]
Kind = Annotated[str | None, typer.Option(help="Such as send_invite.")]
JobState = Annotated[str | None, typer.Option(help="Such as dead or uncertain.")]
Subject = Annotated[UUID | None, typer.Option(help="A request, a session, or what the row itself names.")]
LetterId = Annotated[UUID | None, typer.Argument(help="One dead letter; or use filters.")]
Task = Annotated[str | None, typer.Option("--kind", help="The task, such as submit_request.")]
Door = Annotated[str | None, typer.Option(help="Where it came in, such as booking or broker.")]


def story(
    request: Annotated[UUID, typer.Argument(help="A request, or its session.")], as_json: AsJson = False
) -> None:
    """Everything that happened to one request, in order, with attempts and causes."""
    from booking_tasks.timeline.service import timeline_of

    with _reading() as db:
        found = timeline_of(db, request)
    if found is None:
        _fail(f"{request} is neither a request nor a session of this database")
    if as_json:
        head = {"request": found.request_id, "session": found.session_id, "state": found.state}
        _print_json(head | {"lines": [line.record for line in found.lines]})
        return
    typer.echo(f"request {found.request_id}, session {found.session_id or '-'}\n{found.state}")
    for line in found.lines:
        typer.echo(str(line))


@jobs.command("list")
def list_jobs(
    kind: Kind = None,
    state: JobState = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """The jobs that fit all filters, oldest first."""
    from booking_tasks.jobs.rules import JobFilter
    from booking_tasks.jobs.service import listed

    with _reading() as db:
        found = listed(
            db, JobFilter(job_type=kind, state=_known_state(state), since=since, about=subject), limit
        )
    _print(found, _job_record, _job_line, as_json=as_json)


@jobs.command("show")
def show_job(job: Annotated[UUID, typer.Argument()]) -> None:
    """Everything about one job, but not what it sends."""
    from booking_tasks.jobs.rules import JobFilter
    from booking_tasks.jobs.service import listed

    with _reading() as db:
        found = listed(db, JobFilter(job_id=job), 1)
    if not found:
        _fail(f"there is no job {job}")
    _print_json(_job_record(found[0]))


@jobs.command("replay")
def replay_jobs(
    why: Why,
    who: Who,
    job: JobId = None,
    kind: Kind = None,
    state: JobState = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 1000,
    everything: All = False,
) -> None:
    """Run dead or uncertain jobs again, each under its old key."""
    from booking_tasks.jobs import service
    from booking_tasks.jobs.rules import JobFilter

    which = JobFilter(job, kind, _known_state(state), since, subject)
    _need_a_filter(which.selects_all, everything)
    with _deciding(who) as (db, ctx):
        done = service.replay(db, ctx, which, why, limit)
    _say_ids(done, "waits to run again", f"{job or 'nothing that fits'} is neither dead nor uncertain")


@jobs.command("discard")
def discard_jobs(
    why: Why,
    who: Who,
    job: JobId = None,
    kind: Kind = None,
    state: JobState = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 1000,
    everything: All = False,
) -> None:
    """Leave dead or uncertain jobs undone for good."""
    from booking_tasks.jobs import service
    from booking_tasks.jobs.rules import JobFilter

    which = JobFilter(job, kind, _known_state(state), since, subject)
    _need_a_filter(which.selects_all, everything)
    with _deciding(who) as (db, ctx):
        done = service.discard(db, ctx, which, why, limit)
    _say_ids(done, "is discarded", f"{job or 'nothing that fits'} is neither dead nor uncertain")


@dead.command("list")
def list_dead(
    task: Task = None,
    door: Door = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """The dead letters that fit all filters, oldest first."""
    from booking_tasks.inbox.rules import DeadLetterFilter
    from booking_tasks.inbox.service import dead_letters

    with _reading() as db:
        found = dead_letters(db, DeadLetterFilter(None, task, door, since, subject), limit)
    _print(found, _letter_record, _letter_line, as_json=as_json)


@dead.command("show")
def show_dead(letter: Annotated[UUID, typer.Argument()]) -> None:
    """Everything about one dead letter: why, and its shape without personal data."""
    from booking_tasks.inbox.rules import DeadLetterFilter
    from booking_tasks.inbox.service import dead_letters

    with _reading() as db:
        found = dead_letters(db, DeadLetterFilter(letter), 1)
    if not found:
        _fail(f"there is no dead letter {letter}")
    _print_json(_letter_record(found[0]))


@dead.command("replay")
def replay_dead(
    why: Why,
    who: Who,
    letter: LetterId = None,
    task: Task = None,
    door: Door = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 1000,
    everything: All = False,
) -> None:
    """Run dead messages again that were accepted once and then failed too often."""
    from booking_tasks.inbox import service
    from booking_tasks.inbox.rules import DeadLetterFilter

    which = DeadLetterFilter(letter, task, door, since, subject)
    _need_a_filter(which.selects_all, everything)
    with _deciding(who) as (db, ctx):
        done = service.replay(db, ctx, which, why, limit)
    for one in done.without_content:
        typer.echo(
            f"{one} was refused at the door and only its shape was kept: its sender must send it again"
            " under a new message_id",
            err=True,
        )
    _say_ids(done.messages, "runs again at the sweep's next tick", "no message was replayed")


@dead.command("discard")
def discard_dead(
    why: Why,
    who: Who,
    letter: LetterId = None,
    task: Task = None,
    door: Door = None,
    since: Since = None,
    subject: Subject = None,
    limit: Limit = 1000,
    everything: All = False,
) -> None:
    """Take dead letters away, with what was kept of their messages."""
    from booking_tasks.inbox import service
    from booking_tasks.inbox.rules import DeadLetterFilter

    which = DeadLetterFilter(letter, task, door, since, subject)
    _need_a_filter(which.selects_all, everything)
    with _deciding(who) as (db, ctx):
        done = service.discard(db, ctx, which, why, limit)
    _say_ids(done, "is discarded", "no dead letter fits")


# -- transactions and printing ---------------------------------------------------------------------------


@contextmanager
def _reading() -> Iterator[Session]:
    from sqlalchemy import text

    from booking_tasks.kit.database import transaction

    with transaction() as db:
        db.execute(text("SET TRANSACTION READ ONLY"))
        yield db


@contextmanager
def _deciding(who: str) -> Iterator[tuple[Session, Context]]:
    from booking_tasks.unit_of_work import unit_of_work

    if not who.strip():
        raise typer.BadParameter("say who decides: --who", param_hint="--who")
    with unit_of_work(who.strip(), "operator") as made:
        yield made


def _known_state(state: str | None) -> str | None:
    from booking_tasks.enums import JobState

    if state is not None and state not in list(JobState):
        raise typer.BadParameter(f"is one of {', '.join(JobState)}", param_hint="--state")
    return state


def _need_a_filter(selects_all: bool, everything: bool) -> None:
    if selects_all and not everything:
        raise typer.BadParameter("name one, give a filter, or say --all")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def _print(
    rows: list[Any], record: Callable[[Any], dict[str, Any]], line: Callable[[Any], str], *, as_json: bool
) -> None:
    if as_json:
        _print_json([record(row) for row in rows])
        return
    for row in rows:
        typer.echo(line(row))
    typer.echo(f"{len(rows)} found", err=True)


def _say_ids(ids: list[UUID], what: str, nothing: str) -> None:
    if not ids:
        _fail(f"{nothing}; nothing was changed")
    for one in ids:
        typer.echo(f"{one} {what}")


def _job_record(row: Job) -> dict[str, Any]:
    names = (
        "id",
        "key",
        "job_type",
        "subject_id",
        "revision",
        "recipient",
        "detail",
        "state",
        "due_at",
        "retry_at",
        "attempts",
        "send_attempts",
        "lease_until",
        "last_error",
        "created_at",
        "finished_at",
    )
    return {name: getattr(row, name) for name in names}


def _job_line(row: Job) -> str:
    cause = f"  {row.last_error}" if row.last_error else ""
    return (
        f"{row.id}  {row.state:<9} {row.job_type:<18} {row.subject_id}  due {row.due_at:%Y-%m-%d %H:%M}Z"
        f"  attempts {row.attempts}{cause}"
    )


def _letter_record(row: DeadLetter) -> dict[str, Any]:
    names = ("id", "task", "entry_point", "message_id", "reason", "payload", "received_at")
    return {name: getattr(row, name) for name in names}


def _letter_line(row: DeadLetter) -> str:
    return f"{row.id}  {row.received_at:%Y-%m-%d %H:%M:%S}Z  {row.entry_point:<8} {row.task}  {row.reason}"

"""`booking-tasks dead`: list, show, replay and discard dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from booking_tasks.ops.console import (
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
    from booking_tasks.models import DeadLetter

dead = typer.Typer(no_args_is_help=True, help="Messages that could not be used: list, show, replay, discard.")

OneDeadLetter = Annotated[
    UUID | None, typer.Argument(metavar="DEAD_LETTER", help="One dead letter; or use filters.")
]
OfTask = Annotated[str | None, typer.Option("--task", help="The task, such as submit_request.")]
ByEntryPoint = Annotated[
    str | None, typer.Option("--entry-point", help="Where the message came in, such as booking or web.")
]


@dead.command("list")
def list_dead_letters(
    task: OfTask = None,
    entry_point: ByEntryPoint = None,
    since: Since = None,
    about: About = None,
    limit: MaxRows = 100,
    as_json: AsJson = False,
) -> None:
    """List the dead letters that match all filters, oldest first."""
    from booking_tasks.inbox.rules import DeadLetterFilter
    from booking_tasks.inbox.service import dead_letters

    with read_only_transaction() as db:
        rows = dead_letters(db, DeadLetterFilter(None, task, entry_point, since, about), limit)
    print_rows(rows, _record, _line, as_json=as_json)


@dead.command("show")
def show_dead_letter(dead_letter: Annotated[UUID, typer.Argument()]) -> None:
    """Show one dead letter: the reason, and the shape of the message without personal data."""
    from booking_tasks.inbox.rules import DeadLetterFilter
    from booking_tasks.inbox.service import dead_letters

    with read_only_transaction() as db:
        rows = dead_letters(db, DeadLetterFilter(dead_letter), 1)
    if not rows:
        fail(f"there is no dead letter {dead_letter}")
    print_json(_record(rows[0]))


@dead.command("replay", help="Run dead messages again that were accepted and then failed too often.")
@dead.command("discard", help="Delete dead letters with the content of their messages.")
def decide_dead_letters(
    command: typer.Context,
    why: Why,
    who: Who,
    dead_letter: OneDeadLetter = None,
    task: OfTask = None,
    entry_point: ByEntryPoint = None,
    since: Since = None,
    about: About = None,
    limit: MaxRows = 1000,
    everything: All = False,
) -> None:
    """Replay or discard dead letters, by the name of the command."""
    from booking_tasks.inbox import service
    from booking_tasks.inbox.rules import DeadLetterFilter

    which = DeadLetterFilter(dead_letter, task, entry_point, since, about)
    require_filter(which.selects_all, everything)
    if command.info_name == "discard":
        with operator_unit_of_work(who) as (db, ctx):
            ids = service.discard(db, ctx, which, why, limit)
        print_ids(ids, "is discarded", "no dead letter matches")
        return
    with operator_unit_of_work(who) as (db, ctx):
        replayed = service.replay(db, ctx, which, why, limit)
    for one in replayed.without_content:
        typer.echo(
            f"{one} was refused on arrival and only its shape was kept: its sender must send it again"
            " under a new message_id",
            err=True,
        )
    print_ids(replayed.messages, "runs again at the sweep's next tick", "no message was replayed")


def _record(row: DeadLetter) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}


def _line(row: DeadLetter) -> str:
    return f"{row.id}  {row.received_at:%Y-%m-%d %H:%M:%S}Z  {row.entry_point:<8} {row.task}  {row.reason}"

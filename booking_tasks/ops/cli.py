"""The command line: `booking-tasks`. Imports lazily, so that every command starts quickly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from booking_tasks.errors import BookingTasksError, SettingsError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The scheduling backend of a booking and consultation service.",
)

_EXTRA_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}


@cli.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for mails, invites, events and the picture.")] = Path(
        "booking-demo"
    ),
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running and say how to talk to it.")
    ] = False,
) -> None:
    """Play a day on real servers and check the result. Exit code 1 when an assertion fails."""
    from booking_tasks.ops.demo.play import play

    raise typer.Exit(play(out, keep=keep))


@cli.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="head, base, -1 or a revision.")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead of running them.")] = False,
) -> None:
    """Bring the database (DATABASE_URL) up to date, or down to an older revision."""
    from booking_tasks.ops.migrate import migrate as run

    run(revision=revision, sql=sql)


@cli.command(context_settings=_EXTRA_ARGUMENTS)
def worker(context: typer.Context) -> None:
    """Start a worker: `celery -A booking_tasks worker` with this service's switches; more may follow."""
    # SIGTERM then means: finish what runs, hand back the rest (Celery's soft shutdown).
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    _celery("worker", "--without-gossip", "--without-mingle", "--without-heartbeat", *context.args)


@cli.command(context_settings=_EXTRA_ARGUMENTS)
def beat(context: typer.Context) -> None:
    """Start a beat: `celery -A booking_tasks beat`; two of them side by side do no harm."""
    _celery("beat", *context.args)


@cli.command()
def health(
    file: Annotated[
        Path | None, typer.Option(help="The heartbeat file; default BOOKING_HEARTBEAT_FILE.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How old the last beat may be.")] = 30,
) -> None:
    """Exit code 0 when the worker or beat on this host gave a sign of life lately."""
    from booking_tasks.settings import settings

    path = file or settings().heartbeat_file
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        typer.echo(f"no heartbeat: {path} does not exist; is a worker or beat running here?", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"last heartbeat {age:.0f} s ago")
    raise typer.Exit(0 if age <= seconds else 1)


@cli.command()
def replay(job_id: Annotated[UUID, typer.Argument(help="A dead or uncertain job.")]) -> None:
    """Run a dead or uncertain job again, under its old key."""
    from booking_tasks.doorbell import occasion
    from booking_tasks.jobs import service

    with occasion("operator", "admin") as (db, _):
        replayed = service.replay(db, job_id)
    if not replayed:
        typer.echo(f"{job_id} is neither dead nor uncertain; nothing was changed", err=True)
        raise typer.Exit(1)
    typer.echo(f"{job_id} waits to run again")


def _celery(command: str, *arguments: str) -> None:
    from booking_tasks.settings import settings

    settings()  # a wrong setting is said here, in one line, before Celery's machinery starts
    os.execv(sys.executable, [sys.executable, "-m", "celery", "-A", "booking_tasks", command, *arguments])  # noqa: S606


def main() -> None:
    """The `booking-tasks` command. Errors of ours are one line each, without a traceback."""
    try:
        cli()
    except SettingsError as error:
        sys.exit("\n".join(f"booking-tasks: {line}" for line in str(error).splitlines()))
    except BookingTasksError as error:
        sys.exit(f"booking-tasks: {error}")

"""The command line `booking-tasks`; each command imports what it needs, so that all start quickly."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from booking_tasks.kit.errors import BookingTasksError, SettingsError
from booking_tasks.ops.absence import absence
from booking_tasks.ops.availability import availability
from booking_tasks.ops.dead_letter_commands import dead
from booking_tasks.ops.explain import explain
from booking_tasks.ops.job_commands import jobs
from booking_tasks.ops.person import person
from booking_tasks.ops.timeline_command import timeline

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The scheduling backend of a booking and consultation service.",
)

cli.command()(timeline)
cli.add_typer(jobs, name="jobs")
cli.add_typer(dead, name="dead")
cli.add_typer(absence, name="absence")
cli.add_typer(person, name="person")
cli.command()(explain)
cli.add_typer(availability, name="availability")

#: Celery's default level hides which tasks ran; a later --loglevel of the caller overrides this one.
_LOGGING = ("--loglevel", "INFO")
_EXTRA_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}


@cli.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for mails, invites, events and the picture.")] = Path(
        "booking-demo"
    ),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running and print how to use it.")
    ] = False,
) -> None:
    """Run a day on real servers and check the result. Exit code 1 when a check fails."""
    from booking_tasks.ops.demo.run import run

    raise typer.Exit(run(out, keep=keep))


@cli.command()
def migrate(
    step: Annotated[
        str, typer.Argument(help="head, base, -1, +1 or a step; with --sql also FROM:TO.")
    ] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead of running them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove everything (base) without asking.")] = False,
) -> None:
    """Bring the database (DATABASE_DIRECT_URL, else DATABASE_URL) up to date, or down to an older step."""
    from booking_tasks.ops.migrate import migrate as run

    run(revision=step, sql=sql, confirm=None if yes else _confirm_removal)


def _confirm_removal(database: str) -> None:
    """Ask before everything in a database is removed. Raises BookingTasksError, or ends the command."""
    if not sys.stdin.isatty():
        raise BookingTasksError(
            f"this removes every table of {database} with all bookings: add --yes, or run it in a terminal"
        )
    typer.confirm(f"This removes every table of {database} with all bookings. Continue?", abort=True)


@cli.command()
def roles() -> None:
    """Print the SQL that creates PostgreSQL's roles with grants and time-outs, for a superuser in psql."""
    from booking_tasks.kit.pooler import session_settings
    from booking_tasks.kit.settings import settings
    from booking_tasks.ops.secret_files import roles_sql

    config = settings()
    typer.echo(roles_sql(session_settings(config.statement_timeout, config.lock_timeout)))


@cli.command()
def secrets(
    folder: Annotated[
        Path, typer.Argument(help="The folder for the files; created when it does not exist.")
    ] = Path("secrets"),
    redis: Annotated[
        str, typer.Option(help="The address of Redis or Valkey for the services, host:port.")
    ] = "redis:6379",
    rabbitmq: Annotated[
        str, typer.Option(help="The address of RabbitMQ for the services, host:port.")
    ] = "rabbitmq:5672",
    postgres: Annotated[
        str, typer.Option(help="The address of the database server, host:port.")
    ] = "postgres:5432",
    database: Annotated[str, typer.Option(help="The database's name.")] = "booking_tasks",
) -> None:
    """Make passwords for brokers and database, and the accounts, roles and URLs that contain them."""
    from booking_tasks.ops.secret_files import write_secrets

    for name in write_secrets(folder, redis, postgres, database, rabbitmq):
        typer.echo(folder / name)


@cli.command(context_settings=_EXTRA_ARGUMENTS)
def worker(context: typer.Context) -> None:
    """Start a worker: `celery -A booking_tasks worker` with this service's options; more may follow."""
    _celery("worker", "--without-gossip", "--without-mingle", "--without-heartbeat", *_LOGGING, *context.args)


@cli.command(context_settings=_EXTRA_ARGUMENTS)
def beat(context: typer.Context) -> None:
    """Start a beat: `celery -A booking_tasks beat`; several may run side by side."""
    _celery("beat", *_LOGGING, *context.args)


@cli.command()
def web(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Serve the pages behind the links in mails; it needs a proxy with TLS in front of it."""
    from importlib.util import find_spec

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise BookingTasksError("the extra web is not installed: pip install 'booking-tasks[web]'")
    from booking_tasks.kit.settings import settings
    from booking_tasks.ops.ready import failures
    from booking_tasks.ops.start import examine_servers
    from booking_tasks.web.serve import serve

    serve(host, port, lambda: failures(settings()), lambda: examine_servers(settings()))


@cli.command()
def metrics(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 9464,
) -> None:
    """Serve /metrics for Prometheus, read from the database at each scrape."""
    from importlib.util import find_spec

    if find_spec("prometheus_client") is None:
        raise BookingTasksError("the extra metrics is not installed: pip install 'booking-tasks[metrics]'")
    from booking_tasks.ops.metrics.serving import serve

    serve(host, port)


@cli.command()
def reply(
    seconds: Annotated[float, typer.Option(help="How long to wait for the answer.")] = 30,
) -> None:
    """Read a mail from standard input, as a mail server pipes it, and send its calendar reply as a message.

    Exit code 75 asks the mail server to deliver the mail again; with any other code it is done.
    """
    from booking_tasks.kit.settings import settings
    from booking_tasks.ops.reply import forward_reply

    code, result = forward_reply(sys.stdin.buffer, settings(), seconds)
    typer.echo(result)
    raise typer.Exit(code)


@cli.command()
def health(
    file: Annotated[
        Path | None, typer.Option(help="The heartbeat file; default BOOKING_HEARTBEAT_FILE.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="The greatest age of the last heartbeat; default 30, of a beat 3 sweep intervals."),
    ] = None,
) -> None:
    """Exit code 0 when the worker or beat on this host has touched its heartbeat file in time."""
    from booking_tasks.kit.heartbeat import greatest_age_in
    from booking_tasks.kit.settings import settings

    path = file or settings().heartbeat_file
    try:
        at_most = greatest_age_in(path) if seconds is None else seconds
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        typer.echo(f"no heartbeat: {path} does not exist; is a worker or beat running here?", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"last heartbeat {age:.0f} s ago")
    raise typer.Exit(0 if age <= at_most else 1)


@cli.command()
def ready(
    wait: Annotated[float, typer.Option(help="For how many seconds to try again.")] = 0,
) -> None:
    """Exit code 0 when database and broker can be written to now; otherwise one line says what cannot."""
    from booking_tasks.kit.settings import settings
    from booking_tasks.ops.ready import failures

    end = time.monotonic() + wait
    while (found := failures(settings())) and time.monotonic() < end:
        time.sleep(1)
    if found:
        typer.echo("not ready: " + "; ".join(f"{name}: {reason}" for name, reason in found.items()), err=True)
        raise typer.Exit(1)
    typer.echo("ready")


@cli.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of lines.")] = False,
) -> None:
    """Check settings, servers, schema, queues and clocks; print one line for each, with the remedy.

    Exit code 1 when something is broken; warnings do not count.
    """
    import json

    from booking_tasks.ops.check import findings
    from booking_tasks.ops.findings import State

    found = findings()
    if as_json:
        typer.echo(json.dumps([one.record for one in found], indent=2))
    else:
        for one in found:
            typer.echo(one.line)
    raise typer.Exit(1 if any(one.state == State.BROKEN for one in found) else 0)


def _celery(command: str, *arguments: str) -> None:
    """Run `celery -A booking_tasks` in this process, so that nothing is imported twice."""
    from booking_tasks.kit.settings import settings

    settings()  # a wrong one ends the process here with one line, before Celery is imported
    from celery import __main__ as celery

    sys.argv = [str(celery.__file__), "--quiet", "-A", "booking_tasks", command, *arguments]
    _import_all()
    celery.main()


def _import_all() -> None:
    """Import all task modules, and exclude their objects from garbage collection, also after a fork."""
    gc.disable()
    from booking_tasks.celery import app

    app.loader.import_default_modules()
    gc.freeze()
    gc.enable()


def main() -> None:
    """Run the `booking-tasks` command; an error that names its remedy is one line, without a traceback."""
    try:
        cli()
    except SettingsError as error:
        sys.exit("\n".join(f"booking-tasks: {line}" for line in str(error).splitlines()))
    except BookingTasksError as error:
        sys.exit(f"booking-tasks: {error}")
    except Exception as error:
        from booking_tasks.ops.database_failures import failure_line

        line = failure_line(error)
        if line is None:
            raise
        sys.exit(f"booking-tasks: {line}")

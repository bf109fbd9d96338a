"""Running the migrations that travel with the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.pooler import milliseconds
from booking_tasks.kit.settings import load_settings, settings
from booking_tasks.ops.schema_targets import BASE, HEAD, SchemaError, is_down, target_step

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


#: PostgreSQL, appendix A: lock_not_available.
_LOCK_NOT_AVAILABLE = "55P03"
#: Raised by a step that found data which breaks the rules that it adds.
_CLASHES = "BT002"

#: The steps that the baseline replaced. No release had them, so a database at one of them cannot go on.
_BEFORE_THE_BASELINE = frozenset(
    {
        "0001_catalogue",
        "0002_consultations",
        "0003_slot_ledger",
        "0004_free_time",
        "0005_engine",
        "0006_attendance",
        "0007_time",
        "0008_parked_messages",
        "0009_hours",
        "0010_policies",
        "0011_outside_calendars",
        "0012_reserving",
        "0013_credits",
        "0014_confirmation",
        "0015_waiting_list",
        "0016_one_round_trip",
        "0017_assignment",
        "0018_company_index",
        "0019_windows_by_time",
        "0020_reading_free_time",
        "0021_consultant_limits",
        "0022_assignment_batches",
        "0023_absence",
        "0024_series_at_once",
        "0025_offered_kinds",
        "0026_give_start",
        "0027_judged_under_the_lock",
    }
)


def migrations_folder() -> Path:
    """`migrations`: the copy inside the package when installed, the root folder in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("path_separator", "os")
    return config


def known_revisions() -> list[str]:
    """Every step this release knows, oldest first: files are named by their revision."""
    return sorted(path.stem for path in (migrations_folder() / "versions").glob("[0-9]*.py"))


def revision_in(connection: Any) -> str | None:
    """The step a database stands at, over a psycopg connection; None when it was never migrated."""
    if connection.execute("SELECT to_regclass('public.alembic_version')").fetchone()[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])


def refuse_older_schema(url: str) -> None:
    """Raise SchemaError when the database (`url`, SQLAlchemy's) is behind this release.

    One that is ahead is fine: what a release uses is taken away no earlier than two releases later. A
    database that does not answer, or does not tell, is no reason either: the worker waits for it.
    """
    try:
        with psycopg.connect(libpq_url(url), connect_timeout=3) as connection:
            here = revision_in(connection)
    except psycopg.Error:
        return
    refuse_development_schema(here)
    known = known_revisions()
    if here is None or (here in known and here != known[-1]):
        raise SchemaError(
            f"the database is at {here or 'nothing'} and this release needs {known[-1]}:"
            " run booking-tasks migrate first"
        )


def is_development_schema(revision: str | None) -> bool:
    """Whether a database at this step was made before the baseline, so that nothing can migrate it."""
    return revision in _BEFORE_THE_BASELINE


def refuse_development_schema(revision: str | None) -> None:
    """Raise SchemaError for a database that was made before the baseline."""
    if is_development_schema(revision):
        raise SchemaError(
            f"the database was made by a version from before the first release (step {revision}) and cannot"
            " be migrated: make an empty database, point DATABASE_URL to it, and run booking-tasks migrate;"
            " what you need of the old one must be sent or declared again"
        )


def _migration_url(url: str | None) -> str:
    """Return the URL for a migration: `url`, else the direct one of the settings, else the service's."""
    config = load_settings({} if url is None else {"database_url": url})
    if url is not None or config.database_direct_url is None:
        return config.database_url
    return config.database_direct_url


def _refuse_pooler(connection: Connection) -> None:
    """Raise SchemaError behind a pooler: the lock and the time-outs of a migrator belong to its session."""
    backend = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    is_direct = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() == backend
    connection.rollback()
    if not is_direct:
        raise SchemaError(
            "a pooler stands before the database, and migrations need a session of their own: set"
            " DATABASE_DIRECT_URL to the URL of PostgreSQL itself, for the role that migrates"
        )


def migrate(
    url: str | None = None,
    revision: str = HEAD,
    *,
    sql: bool = False,
    confirm: Callable[[str], None] | None = None,
) -> None:
    """Bring a database up, or down to an older `revision`; with `sql`, print the statements instead.

    Waits for its turn when another migrator is at work. A step that cannot get its locks soon gives
    up, so that no booking queues up behind it. A database that is ahead of this release stays as it is.
    `confirm` is called before everything is removed, and raises an error to prevent it. Raises SchemaError.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError

    if sql:
        _print_sql(revision)
        return
    engine = create_engine(_migration_url(url))
    try:
        with engine.connect() as connection:
            _refuse_pooler(connection)
            if _go(connection, revision, confirm):
                connection.rollback()  # each step committed itself; without one, a transaction is open
                _apply_grants(connection)
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate == _CLASHES and isinstance(error.orig, psycopg.Error):
            raise SchemaError(error.orig.diag.message_primary or str(error.orig)) from None
        if sqlstate != _LOCK_NOT_AVAILABLE:
            raise
        raise SchemaError(
            "another transaction kept a table for longer than BOOKING_LOCK_TIMEOUT; the steps before"
            " this one stand, nothing of it is left: run booking-tasks migrate again"
        ) from None
    finally:
        engine.dispose()


def _apply_grants(connection: Connection) -> None:
    """Apply the grants, and say which role is missing."""
    from booking_tasks.ops.roles import apply_grants

    if (to_do := apply_grants(connection)) is not None:
        sys.stderr.write(f"{to_do}\n")


def _go(connection: Connection, revision: str, confirm: Callable[[str], None] | None) -> bool:
    """Go up or down to the step that is meant; False when the database is ahead of the newest step."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import text

    limit = {"limit": milliseconds(settings().lock_timeout)}
    connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), limit)
    here = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    refuse_development_schema(here)
    known = known_revisions()
    if revision == HEAD and here is not None and here not in known:
        sys.stderr.write(f"the database is at {here}, a step of a newer release: nothing to do\n")
        return False
    target = target_step(revision, here, known)
    config = alembic_config()
    config.attributes["connection"] = connection
    if not is_down(target, here, known):
        command.upgrade(config, target or BASE)
        return True
    if target is None and confirm is not None:
        confirm(str(connection.engine.url.database))
    command.downgrade(config, target or BASE)
    return True


def _print_sql(revision: str) -> None:
    """Print the statements of `FROM:TO`; without FROM from an empty database, down from the newest step."""
    from alembic import command

    from booking_tasks.ops.roles import conditional_grants_sql

    known = known_revisions()
    start, separator, end = revision.rpartition(":")
    if not separator:
        start = HEAD if end == BASE or end.startswith("-") else BASE
    source = target_step(start, None, known)
    target = target_step(end, source, known)
    way = f"{source or BASE}:{target or BASE}"
    sys.stdout.write(f"-- booking-tasks migrate --sql {way}\n\n")
    if source != target:
        step = command.downgrade if is_down(target, source, known) else command.upgrade
        step(alembic_config(), way, sql=True)
    sys.stdout.write(conditional_grants_sql())

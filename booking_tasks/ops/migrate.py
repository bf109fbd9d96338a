"""Running the migrations that travel with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.settings import load_settings

if TYPE_CHECKING:
    from alembic.config import Config


class SchemaError(BookingTasksError):
    """The database's schema does not fit, or could not be changed now; the message says what to do."""


#: PostgreSQL, appendix A: lock_not_available.
_LOCK_NOT_AVAILABLE = "55P03"


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
        with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=3) as connection:
            here = revision_in(connection)
    except psycopg.Error:
        return
    known = known_revisions()
    if here is None or (here in known and here != known[-1]):
        raise SchemaError(
            f"the database is at {here or 'nothing'} and this release needs {known[-1]}:"
            " run booking-tasks migrate first"
        )


def migrate(url: str | None = None, revision: str = "head", *, sql: bool = False) -> None:
    """Bring a database up (or down, to an older `revision`); with `sql`, print the statements instead.

    Waits for its turn when another migrator is at work. A step that cannot get its locks soon gives
    up, so that no booking queues up behind it. Raises SchemaError.
    """
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    from booking_tasks.ops.roles import apply_grants

    config = alembic_config()
    going_down = revision == "base" or revision.startswith("-")
    step = command.downgrade if going_down else command.upgrade
    if sql:
        step(config, f"head:{revision}" if going_down else revision, sql=True)
        return
    overrides = {} if url is None else {"database_url": url}
    engine = create_engine(load_settings(overrides).database_url)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            step(config, revision)
            connection.rollback()  # each step committed itself; with none to do, the look is still open
            apply_grants(connection)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise SchemaError(
            "another transaction kept a table for longer than BOOKING_LOCK_TIMEOUT; the steps before"
            " this one stand, nothing of it is left: run booking-tasks migrate again"
        ) from None
    finally:
        engine.dispose()

"""How Alembic runs here: one connection, one transaction per step, one migrator at a time."""

from __future__ import annotations

import time

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.pooler import milliseconds
from booking_tasks.kit.settings import settings
from booking_tasks.models import Base
from booking_tasks.ops.migrate import refuse_development_schema

#: Any fixed number; every migrator of this project waits for the same one.
MIGRATION_LOCK = 7_264_510_331
_RETRY_SECONDS = 0.2


def migrate_offline() -> None:
    """Print SQL instead of running it (`booking-tasks migrate --sql`)."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=Base.metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},  # otherwise each % of a function would be printed twice
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate(connection: Connection) -> None:
    """Wait for the lock, then migrate. A step that cannot get its locks fails instead of waiting on."""
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET lock_timeout = 0"))
    _wait_for_lock(connection)
    timeout = {"timeout": milliseconds(settings().lock_timeout)}
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, false)"), timeout)
    refuse_development_schema(MigrationContext.configure(connection).get_current_revision())
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def _wait_for_lock(connection: Connection) -> None:
    """Try to get the lock until it is free.

    A transaction that waits for the lock inside a query would block an index that is made concurrently, and
    the index would block the transaction.
    """
    try_lock = text("SELECT pg_try_advisory_lock(:key)")
    while not connection.execute(try_lock, {"key": MIGRATION_LOCK}).scalar_one():
        connection.commit()
        time.sleep(_RETRY_SECONDS)


def migrate_online() -> None:
    """Use the connection handed over in the config, or open one from the settings."""
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is not None:
        migrate(connection)
        return
    engine = create_booking_engine(settings())
    try:
        with engine.connect() as opened:
            migrate(opened)
    finally:
        engine.dispose()


if context.is_offline_mode():
    migrate_offline()
else:
    migrate_online()

"""The engine, transactions, and a lock for a sweep; all of it works behind a pooler of transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking_tasks.kit.bulk import read_in_bulk
from booking_tasks.kit.database_errors import watch_errors
from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.deadline_connection import DeadlineConnection
from booking_tasks.kit.logs import logger
from booking_tasks.kit.pooler import (
    DatabasePath,
    UnsuitablePoolerError,
    find_database_path,
    milliseconds,
    prepare_connection,
    session_settings,
)
from booking_tasks.kit.settings import Settings, settings

log = logger(__name__)

#: Parameters of libpq; the URL may have others. A connection to a host that is switched off ends after about
#: 15 s: probes of an idle connection are in seconds, the time-out of data that is sent is in milliseconds.
_CONNECTION = {
    "connect_timeout": "5",  # seconds, for each host
    "application_name": "booking_tasks",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
#: A pooled connection is closed after this time, so that a host name that names another server takes effect.
_RECYCLE_SECONDS = 300
#: The connection waits this much longer than the server's own time-out, so that the server's error arrives.
_GRACE = 0.5


def create_booking_engine(config: Settings) -> Engine:
    """Make an engine whose connections time out before a task reaches its time limit.

    The session settings end what is stuck on the server (`kit/pooler.py`). The connection's own deadline ends
    an exchange with a server that is frozen.
    """
    required = session_settings(config.statement_timeout, config.lock_timeout)
    made = create_engine(
        config.database_url,
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,  # an error's text goes into logs and rows: no names, no addresses
        connect_args=_unless_in_url(config.database_url, _CONNECTION),
    )

    @event.listens_for(made, "do_connect")
    def _connected(
        _dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]
    ) -> DeadlineConnection:
        connection = DeadlineConnection.connect(*arguments, **options)
        connection.deadline_seconds = config.statement_timeout.total_seconds() + _GRACE
        try:
            prepare_connection(connection, required)
        except BaseException:
            connection.close()
            raise
        return connection

    read_in_bulk(made)
    watch_errors(made)
    return made


def _unless_in_url(url: str, parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters that the URL does not set: arguments would override those of the URL."""
    in_url = make_url(url).query
    return {name: value for name, value in parameters.items() if name not in in_url}


def database_path(config: Settings) -> DatabasePath:
    """Find out how the service reaches PostgreSQL.

    Raises UnsuitablePoolerError, and psycopg.OperationalError when the database does not answer.
    """
    url = libpq_url(config.database_url)
    return find_database_path(url, session_settings(config.statement_timeout, config.lock_timeout))


def refuse_unsuitable_pooler() -> None:
    """Raise UnsuitablePoolerError when the service cannot work behind the pooler that is there.

    A database that does not answer is no reason: every connection that is opened later is examined too.
    """
    try:
        path = database_path(settings())
    except UnsuitablePoolerError:
        raise
    except psycopg.OperationalError:
        return
    log.info("database.path", mode=str(path.mode), **path.shown)


@cache
def engine() -> Engine:
    """Return this process's engine; it is made on first use, not at import and not before a fork."""
    return create_booking_engine(settings())


def forget_inherited_connections() -> None:
    """Drop the parent's pool after a fork, without closing the sockets that the parent still uses."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)


@contextmanager
def connection_for_several_transactions() -> Iterator[Connection]:
    """Yield one connection for transactions that follow each other, so that the pool tests it once.

    Behind a pooler of transactions each of them may have another connection to the server.
    """
    with engine().connect() as connection:
        yield connection


@contextmanager
def try_lock(subject: str, at_most: timedelta) -> Iterator[bool]:
    """Try to take an advisory lock on a subject until the end of the block; yields whether it was taken.

    The lock belongs to a transaction that does nothing else: PostgreSQL releases it at once when the process
    dies, and ends the transaction of a frozen process after `at_most`. For work that is only wasted when it
    is done twice.
    """
    limit = milliseconds(at_most)
    key = select(func.hashtextextended(subject, 0)).scalar_subquery()
    with engine().connect() as connection:
        connection.execute(select(func.set_config("idle_in_transaction_session_timeout", limit, True)))
        is_locked = connection.execute(select(func.pg_try_advisory_xact_lock(key))).scalar_one()
        if not is_locked:
            connection.rollback()
        try:
            yield bool(is_locked)
        finally:
            with suppress(DBAPIError):  # the server may have ended the transaction
                connection.rollback()


def finds_a_row(statement: str, values: dict[str, Any]) -> bool:
    """Whether a statement that only reads finds a row: one exchange, without a transaction."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return connection.execute(text(statement), values).first() is not None


@contextmanager
def transaction(on: Connection | None = None) -> Iterator[Session]:
    """Open one transaction: it commits on a clean exit and rolls back on any error.

    Only edges open one, on a new connection or on the one passed in.
    """
    with Session(on or engine(), expire_on_commit=False) as db, db.begin():
        yield db

"""The engine, transactions, and advisory locks that outlast a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.orm import Session

from booking_tasks.kit.bulk import read_in_bulk
from booking_tasks.kit.database_errors import watch_errors
from booking_tasks.kit.deadline_connection import DeadlineConnection
from booking_tasks.kit.settings import Settings, settings

_LOCK = text("SELECT pg_advisory_lock(hashtextextended(:subject, 0))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(:subject, 0))")

FirstT = TypeVar("FirstT")

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

    `client_connection_check_interval` ends a query whose worker was killed, so that its locks are released
    within a second. The server's time-outs end a statement that is stuck. The connection's own deadline ends
    an exchange with a server that is frozen.
    """
    options = {
        "statement_timeout": _milliseconds(config.statement_timeout.total_seconds()),
        "lock_timeout": _milliseconds(config.lock_timeout.total_seconds()),
        "idle_in_transaction_session_timeout": _milliseconds(config.statement_timeout.total_seconds() * 2),
        "client_connection_check_interval": "1s",
        "timezone": "UTC",
        "search_path": "public,pg_temp",  # named last: else temporary tables come before all others
    }
    made = create_engine(
        config.database_url,
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,  # an error's text goes into logs and rows: no names, no addresses
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            **_unless_in_url(config.database_url, _CONNECTION),
        },
    )

    @event.listens_for(made, "do_connect")
    def _connected(
        _dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]
    ) -> DeadlineConnection:
        connection = DeadlineConnection.connect(*arguments, **options)
        connection.deadline_seconds = config.statement_timeout.total_seconds() + _GRACE
        return connection

    read_in_bulk(made)
    watch_errors(made)
    return made


def _unless_in_url(url: str, parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters that the URL does not set: arguments would override those of the URL."""
    in_url = make_url(url).query
    return {name: value for name, value in parameters.items() if name not in in_url}


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


@cache
def engine() -> Engine:
    """Return this process's engine; it is made on first use, not at import and not before a fork."""
    return create_booking_engine(settings())


def forget_inherited_connections() -> None:
    """Drop the parent's pool after a fork, without closing the sockets that the parent still uses."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)


@contextmanager
def with_lock(subject: str, first: Callable[[Session], FirstT]) -> Iterator[tuple[Connection, FirstT]]:
    """Hold an advisory lock on a subject over several transactions on the connection that is yielded.

    `first` runs in the transaction that waits for the lock; the block starts after its commit and gets its
    result. The lock belongs to the connection, so that PostgreSQL releases it when the process dies.
    """
    with engine().connect() as connection:
        try:
            with transaction(connection) as db:
                db.execute(_LOCK, {"subject": subject})
                found = first(db)  # a separate statement: it sees what the previous holder has committed
            yield connection, found
        finally:
            connection.rollback()
            if not connection.invalidated:  # otherwise the lock is released already
                # Autocommit saves the BEGIN and COMMIT of a single statement; the pool resets the option.
                autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
                autocommit.execute(_UNLOCK, {"subject": subject})


@contextmanager
def try_lock(subject: str, at_most: timedelta) -> Iterator[bool]:
    """Try to take an advisory lock on a subject until the end of the block; yields whether it was taken.

    The lock belongs to its connection: PostgreSQL releases it at once when the process dies, and ends the
    connection of a frozen process after `at_most`. For work that is only wasted when it is done twice.
    """
    key = select(func.hashtextextended(subject, 0)).scalar_subquery()
    with engine().connect() as connection:
        limit = _milliseconds(at_most.total_seconds())
        connection.execute(select(func.set_config("idle_session_timeout", limit, False)))
        is_locked = connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one()
        connection.commit()
        try:
            yield bool(is_locked)
        finally:
            connection.invalidate()


@contextmanager
def transaction(on: Connection | None = None) -> Iterator[Session]:
    """Open one transaction: it commits on a clean exit and rolls back on any error.

    Only edges open one, on a new connection or on the one passed in.
    """
    with Session(on or engine(), expire_on_commit=False) as db, db.begin():
        yield db

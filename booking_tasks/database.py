"""The engine and the one way to open a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, Engine, create_engine, func, select
from sqlalchemy.orm import Session

from booking_tasks.settings import Settings, settings

_RINGS = "booking_tasks.rings"


def create_booking_engine(config: Settings) -> Engine:
    """An engine whose connections give up before a task's time limit does.

    `client_connection_check_interval` ends a query whose worker was killed, so that its locks go
    within a second; the time-outs keep one stuck statement from holding a worker for good.
    """
    options = {
        "statement_timeout": _milliseconds(config.statement_timeout.total_seconds()),
        "lock_timeout": _milliseconds(config.lock_timeout.total_seconds()),
        "idle_in_transaction_session_timeout": _milliseconds(config.statement_timeout.total_seconds() * 2),
        "client_connection_check_interval": "1s",
        "timezone": "UTC",
        "search_path": "public",
    }
    return create_engine(
        config.database_url,
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": 10,
            "application_name": "booking_tasks",
        },
    )


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


@cache
def engine() -> Engine:
    """This process's engine, made on first use: never at import, never before a fork."""
    return create_booking_engine(settings())


def forget_inherited_connections() -> None:
    """After a fork: drop the parent's pool without closing the sockets that the parent still uses."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)


@contextmanager
def one_at_a_time(subject: str) -> Iterator[Connection]:
    """Let one caller in at a time, over several transactions on the connection it is given.

    The lock belongs to the connection: when its process dies, PostgreSQL lets the next one in.
    """
    key = select(func.hashtextextended(subject, 0)).scalar_subquery()
    with engine().connect() as connection:
        connection.execute(select(func.pg_advisory_lock(key)))
        connection.commit()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.execute(select(func.pg_advisory_unlock(key)))
            connection.commit()


@contextmanager
def transaction(on: Connection | None = None) -> Iterator[Session]:
    """One transaction: commits on a clean exit, rolls back on any error.

    Only tasks open one, on a connection of its own or on the one given. What the transaction wants
    rung is in `rings(db)` once it has committed.
    """
    with Session(on or engine(), expire_on_commit=False) as db, db.begin():
        yield db


def ring_later(db: Session, kinds: set[str]) -> None:
    """Note job kinds whose doorbell should ring after the commit."""
    db.info.setdefault(_RINGS, set()).update(kinds)


def rings(db: Session) -> set[str]:
    """The job kinds noted by `ring_later`; empty after a rollback is the caller's rule to keep."""
    found: set[str] = db.info.get(_RINGS, set())
    return found

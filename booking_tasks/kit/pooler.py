"""What stands between this service and PostgreSQL: nothing, or a pooler such as PgBouncer.

A pooler of transactions gives each transaction any of its server connections. So the service keeps no state
in a session, and what every session needs stands on the database's role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Literal

from booking_tasks.kit.deadline_connection import DeadlineConnection
from booking_tasks.kit.errors import BookingTasksError

#: Session settings that are time-outs; 0 means that there is none.
TIMEOUTS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
)
#: How PgBouncer refuses a startup parameter that it neither passes on nor is configured to ignore.
_UNSUPPORTED_PARAMETER = "unsupported startup parameter"
#: How PgBouncer refuses a transaction when it pools statements; it accepts statements outside of one.
_STATEMENT_POOLING = "statement pooling mode"
_TRIES = 5
_SECONDS = 3.0
_SHOWN = re.compile(r"(\d+)(ms|s|min|h|d)?")
_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class UnsuitablePoolerError(BookingTasksError, psycopg.OperationalError):
    """The pooler, or the role behind it, lacks something that the service needs; the text has the remedy.

    It is an error of the driver too, so that a worker which meets it later keeps its messages as in an
    outage.
    """


class PoolMode(StrEnum):
    """What stands between the service and PostgreSQL."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"


@dataclass(frozen=True)
class DatabasePath:
    """How the service reaches PostgreSQL, and its session settings as the server shows them."""

    mode: PoolMode
    shown: Mapping[str, str]

    @property
    def name(self) -> str:
        """The path in words."""
        if self.mode == PoolMode.DIRECT:
            return "direct, no pooler"
        return f"a pooler in {self.mode} mode"

    @property
    def limits(self) -> str:
        """The time-outs as the server shows them."""
        return ", ".join(f"{name} {self.shown[name]}" for name in TIMEOUTS)


def session_settings(statement_timeout: timedelta, lock_timeout: timedelta) -> dict[str, str]:
    """Return the settings that each session of the service needs.

    `client_connection_check_interval` ends a query whose worker was killed, so that its locks are released
    within a second. The other time-outs end a statement or a transaction that is stuck, before a task reaches
    its time limit.
    """
    return {
        "statement_timeout": milliseconds(statement_timeout),
        "lock_timeout": milliseconds(lock_timeout),
        "idle_in_transaction_session_timeout": milliseconds(statement_timeout * 2),
        "client_connection_check_interval": "1000ms",
        "TimeZone": "UTC",
        "search_path": "public, pg_temp",  # named last: else temporary tables come before all others
    }


def prepare_connection(connection: psycopg.Connection[Any], required: Mapping[str, str]) -> DatabasePath:
    """Make a new connection ready for the service, in one round trip.

    A direct connection gets its session settings. Behind a pooler they would reach the sessions of others, so
    they must stand on the role. Statements are not prepared there, because the next transaction may run on a
    connection that has not prepared them, or has others under the same names. Which kind of pooler it is, is
    not found out: the mode is `session`. Raises UnsuitablePoolerError.
    """
    connection.autocommit = True  # a statement without a transaction around it
    row = connection.execute(
        _applied_if_direct(connection.info.backend_pid, required), prepare=False
    ).fetchone()
    connection.autocommit = False
    is_direct, *values = row or (False,)
    path = DatabasePath(
        PoolMode.DIRECT if is_direct else PoolMode.SESSION, dict(zip(required, values, strict=True))
    )
    if not is_direct:
        connection.prepare_threshold = None
        _refuse_missing_settings(connection.info.user, required, path.shown)
    return path


def find_database_path(url: str, required: Mapping[str, str]) -> DatabasePath:
    """Find out how libpq's `url` reaches PostgreSQL, with connections of its own.

    Raises UnsuitablePoolerError, and psycopg.OperationalError when the database does not answer.
    """
    with _connect(url) as connection:
        path = prepare_connection(connection, required)
        if path.mode == PoolMode.DIRECT:
            return path
        _run_transaction(connection)
        connection.autocommit = True
        if not _pools_transactions(connection, lambda: _connect(url)):
            return path
        return replace(path, mode=PoolMode.TRANSACTION)


def pooler_refusal(error: BaseException) -> UnsuitablePoolerError | None:
    """Return the error with its remedy when a driver's error is the refusal of an unsuitable pooler."""
    if isinstance(error, UnsuitablePoolerError):
        return error
    if _UNSUPPORTED_PARAMETER in str(error):
        return UnsuitablePoolerError(
            f"the pooler refuses a parameter of the database's URL ({_refused_parameter(error)}):"
            " remove it from the URL, and set it on the role"
        )
    if _STATEMENT_POOLING in str(error):
        return UnsuitablePoolerError(
            "the pooler has pool_mode = statement, in which no transaction works:"
            " set pool_mode = transaction or session in the pooler, for this database and role"
        )
    return None


def _connect(url: str) -> DeadlineConnection:
    try:
        connection = DeadlineConnection.connect(
            url, connect_timeout=int(_SECONDS), application_name="booking_tasks", prepare_threshold=None
        )
    except psycopg.OperationalError as error:
        raise pooler_refusal(error) or error from None
    connection.deadline_seconds = _SECONDS
    return connection


def _run_transaction(connection: psycopg.Connection[Any]) -> None:
    """Run a transaction, because a pooler of statements accepts everything else. Leaves none open."""
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.OperationalError as error:
        raise pooler_refusal(error) or error from None


def _refused_parameter(error: BaseException) -> str:
    found = re.search(rf"{_UNSUPPORTED_PARAMETER}[^:]*: *([\w.]+)", str(error))
    return found[1] if found else "see its log"


def _applied_if_direct(backend_pid: int, required: Mapping[str, str]) -> Composed:
    """Return a statement that reads the session settings, and sets them when no pooler stands between.

    PostgreSQL tells each client the number of the process that serves it. A pooler tells other numbers,
    because it cancels queries for its clients.
    """
    is_direct = SQL("pg_backend_pid() = {}").format(Literal(backend_pid))
    columns = [
        SQL("CASE WHEN {} THEN set_config({}, {}, false) ELSE current_setting({}) END").format(
            is_direct, Literal(name), Literal(text), Literal(name)
        )
        for name, text in required.items()
    ]
    return SQL("SELECT {}, {}").format(is_direct, SQL(", ").join(columns))


def _pools_transactions(
    first: psycopg.Connection[Any], connect: Callable[[], psycopg.Connection[Any]]
) -> bool:
    """Whether two statements of one client may run in two sessions of the server, or two clients share one.

    A quiet pooler gives a second client the session that the first has just used. A busy one gives the first
    client another session the next time.
    """
    sessions = {_session_of(first)}
    with suppress(psycopg.OperationalError):  # a pooler of sessions has none for a second client
        for _ in range(_TRIES):
            with connect() as second:
                second.autocommit = True
                other = _session_of(second)
            sessions.add(_session_of(first))
            if other in sessions or len(sessions) > 1:
                return True
    return False


def _session_of(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


def _refuse_missing_settings(role: str, required: Mapping[str, str], shown: Mapping[str, str]) -> None:
    wrong = list(_missing_settings(required, shown))
    if wrong:
        raise UnsuitablePoolerError(
            f"behind a pooler the role {role} must bring its own session settings, but the server shows"
            f" {', '.join(wrong)}: run the SQL of `booking-tasks roles` as superuser in this database (with"
            " the same BOOKING_STATEMENT_TIMEOUT and BOOKING_LOCK_TIMEOUT), then RECONNECT in the pooler"
        )


def _missing_settings(required: Mapping[str, str], shown: Mapping[str, str]) -> Iterator[str]:
    """Yield the settings that are absent or too long; a shorter time-out is the operator's choice."""
    for name, text in required.items():
        if name in TIMEOUTS:
            is_right = 0 < _in_milliseconds(shown[name]) <= _in_milliseconds(text)
        else:
            is_right = _plain(shown[name]) == _plain(text)
        if not is_right:
            yield f"{name} {shown[name] or 'empty'} instead of {text}"


def _plain(text: str) -> str:
    return re.sub(r"[\s\"]|^etc/", "", text.casefold())


def _in_milliseconds(text: str) -> int:
    found = _SHOWN.fullmatch(text)
    if found is None:
        return 0
    return int(found[1]) * _UNITS[found[2] or "ms"]


def milliseconds(time: timedelta) -> str:
    """Return a time-out as PostgreSQL reads it, in whole milliseconds: `1500ms`."""
    return f"{int(time / timedelta(milliseconds=1))}ms"

"""One line for the operator when a command fails because of the database."""

from __future__ import annotations

import re
from typing import NamedTuple

from booking_tasks.kit.database_errors import is_away, sqlstate_of
from booking_tasks.kit.pooler import pooler_refusal

_LOGIN = "correct user and password in DATABASE_URL, or make the role that is missing (booking-tasks roles)"
_PRIMARY = "correct DATABASE_URL so that it names the primary, and a role that may write"
_RIGHTS = "use the role that may do this (booking-tasks roles), or correct DATABASE_URL"

#: What an operator can do about an error of a statement, by SQLSTATE (PostgreSQL, appendix A).
_REMEDIES = {
    "25006": f"it is read-only: {_PRIMARY}",
    "42501": _RIGHTS,
    "42P01": "run booking-tasks migrate",
    "42703": "run booking-tasks migrate",
    "42883": "run booking-tasks migrate",
    "55P03": "another transaction keeps what this command needs: run it again later",
    "57014": "it took longer than BOOKING_STATEMENT_TIMEOUT: narrow it with filters, or run it again later",
}
#: The same for a connection that is refused. libpq passes on no SQLSTATE of it, only texts: those of
#: PostgreSQL's server (in its language), of PgBouncer, and its own. The first that is found counts.
_REFUSED_CONNECTIONS = {
    r"authentication failed|no password supplied|no such user"
    r'|role ".*" does not exist|not permitted to log in': _LOGIN,
    r'database ".*" does not exist|no such database': "create the database, or correct DATABASE_URL",
    r"permission denied for database": _RIGHTS,
    r"pg_hba\.conf": "allow this host, user and database in pg_hba.conf, or correct DATABASE_URL",
    r"too many clients|connection slots are reserved|too many connections|no more connections allowed": (
        "end connections that nobody needs, run fewer processes, or allow more connections there"
    ),
    r"does not support SSL|SSL error|certificate|SSL required": (
        "correct sslmode and the certificates that DATABASE_URL names"
    ),
    r"session is read-only|server is in hot standby mode": f"no host takes writes: {_PRIMARY}",
    r"is starting up|is shutting down|in recovery mode|not (yet |currently )?accepting connections": (
        "wait until it has started"
    ),
    # A severity and two spaces: the server has answered, with a text that is not listed here.
    r"failed: [^:]+:  ": "correct DATABASE_URL, or see the log of the server",
}


class DatabaseFailure(NamedTuple):
    """What happened, and what an operator can do about it."""

    text: str
    remedy: str


def failure_line(error: BaseException) -> str | None:
    """Return one line with the remedy for an error of the database that has one, otherwise None."""
    if (failure := database_failure(error)) is None:
        return None
    return f"{failure.text}; {failure.remedy}"


def database_failure(error: BaseException) -> DatabaseFailure | None:
    """Return the text and the remedy for an error of the database that has one, otherwise None."""
    from sqlalchemy.exc import DBAPIError

    original = error if not isinstance(error, DBAPIError) else error.orig or error
    if (refusal := pooler_refusal(original)) is not None:
        text, _, remedy = str(refusal).partition(": ")
        return DatabaseFailure(text, remedy)
    state = sqlstate_of(original)
    if state in _REMEDIES:
        return DatabaseFailure(f"the database refuses: {_first_line(original)}", _REMEDIES[state])
    return _connection_failure(original) if _is_away(error) else None


def _connection_failure(error: BaseException) -> DatabaseFailure:
    """Find the line with the cause: there is one for each host, address and way that was tried."""
    for pattern, remedy in _REFUSED_CONNECTIONS.items():
        for line in str(error).splitlines():
            if re.search(pattern, line):
                return DatabaseFailure(f"the database refuses: {line.strip()}", remedy)
    text = f"the database cannot be reached: {_first_line(error)}"
    return DatabaseFailure(text, "start PostgreSQL, or correct DATABASE_URL")


def _is_away(error: BaseException) -> bool:
    from psycopg import OperationalError
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        return is_away(error)
    return isinstance(error, OperationalError) and (sqlstate_of(error) or "08").startswith("08")


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

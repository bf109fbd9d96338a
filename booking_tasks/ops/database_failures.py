"""One line for the operator when a command fails because of the database."""

from __future__ import annotations

from booking_tasks.kit.database_errors import is_away, sqlstate_of
from booking_tasks.kit.pooler import pooler_refusal

#: What an operator can do about an error of the database, by SQLSTATE (PostgreSQL, appendix A).
_REMEDIES = {
    "25006": "it is read-only: correct DATABASE_URL so that it names the primary",
    "28000": "correct user and password in DATABASE_URL",
    "28P01": "correct user and password in DATABASE_URL",
    "3D000": "create the database, or correct DATABASE_URL",
    "42501": "use the role that may do this (booking-tasks roles), or correct DATABASE_URL",
    "42P01": "run booking-tasks migrate",
    "42703": "run booking-tasks migrate",
    "42883": "run booking-tasks migrate",
    "55P03": "another transaction keeps what this command needs: run it again later",
    "57014": "it took longer than BOOKING_STATEMENT_TIMEOUT: narrow it with filters, or run it again later",
}


def failure_line(error: BaseException) -> str | None:
    """Return one line with the remedy for an error of the database that has one, otherwise None."""
    from sqlalchemy.exc import DBAPIError

    original = error if not isinstance(error, DBAPIError) else error.orig or error
    if (refusal := pooler_refusal(original)) is not None:
        return str(refusal)
    state = sqlstate_of(original)
    if state in _REMEDIES:
        return f"the database refuses: {_first_line(original)}; {_REMEDIES[state]}"
    if _cannot_be_reached(error):
        remedy = "start PostgreSQL, or correct DATABASE_URL"
        return f"the database cannot be reached: {_first_line(original)}; {remedy}"
    return None


def _cannot_be_reached(error: BaseException) -> bool:
    from psycopg import OperationalError
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        return is_away(error)
    return isinstance(error, OperationalError) and sqlstate_of(error) is None


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

"""What an error of the database means for its connection and for a later try."""

from __future__ import annotations

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError

#: A server that is read-only (a standby, or a former primary), that shuts down, has crashed or starts, or
#: that ended an idle connection (PostgreSQL, appendix A). Class 08 is a lost connection.
_CONNECTION_IS_USELESS = frozenset({"25006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03"})
_LOST_CONNECTION = "08"
#: A full disk, no memory, or too many connections.
_NO_RESOURCES = "53"


def sqlstate_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of a driver's error; a broken connection has none."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def is_away(error: DBAPIError) -> bool:
    """Whether the database cannot be reached or written at present, so that a later try may succeed."""
    state = sqlstate_of(error.orig)
    if state is None:
        return isinstance(error, OperationalError) or error.connection_invalidated
    return _is_useless_after(state) or state.startswith(_NO_RESOURCES)


def watch_errors(engine: Engine) -> None:
    """Make an engine drop its pool after an error of the server, and shorten the texts of errors.

    A connection to a server that became read-only answers every ping and refuses every write. It and all
    others of the pool are closed, so that the next try connects anew, to the new primary.
    """
    event.listen(engine, "handle_error", _discard_useless_connection)
    event.listen(engine, "handle_error", _without_values)


def _is_useless_after(state: str) -> bool:
    return state in _CONNECTION_IS_USELESS or state.startswith(_LOST_CONNECTION)


def _discard_useless_connection(context: ExceptionContext) -> None:
    state = sqlstate_of(context.original_exception)
    if state is not None and _is_useless_after(state):
        context.is_disconnect = True


def _without_values(context: ExceptionContext) -> None:
    """Keep only the first line of PostgreSQL's error: the lines after it quote whole rows.

    A connection that was not made has no rows, and a line for each host and address that was tried.
    """
    if context.connection is None and sqlstate_of(context.original_exception) is None:
        return
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None:
            error.args = (str(error.args[0]).partition("\n")[0] if error.args else "",)

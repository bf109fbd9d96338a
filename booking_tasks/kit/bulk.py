"""Reading in bulk: how queries with many parameters and many rows are executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event

_OPTION = "booking_tasks.in_bulk"
#: Execution options of a query that PostgreSQL plans for its actual parameters each time (a prepared
#: statement keeps a plan for ten ids, also when it gets a thousand) and whose rows come in binary format.
IN_BULK: Mapping[str, Any] = {_OPTION: True}


def read_in_bulk(engine: Engine) -> None:
    """Make the engine apply the option IN_BULK."""
    event.listen(engine, "do_execute", _do_execute)


def _do_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Execute a statement with the option, and return whether it was executed here."""
    if not context.execution_options.get(_OPTION):
        return False
    cursor.execute(statement, parameters, prepare=False, binary=True)
    return True

"""Reading in bulk: queries whose parameters and rows are too many for how the others are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event

_OPTION = "booking_tasks.in_bulk"
#: Execution options of a query that is planned for its very parameters each time (a prepared one is planned
#: for ten ids, also when it is given a thousand) and whose rows come as PostgreSQL's own bytes, unparsed.
IN_BULK: Mapping[str, Any] = {_OPTION: True}


def read_in_bulk(engine: Engine) -> None:
    """Let the engine heed IN_BULK."""
    event.listen(engine, "do_execute", _do_execute)


def _do_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Whether it was executed here."""
    if not context.execution_options.get(_OPTION):
        return False
    cursor.execute(statement, parameters, prepare=False, binary=True)
    return True

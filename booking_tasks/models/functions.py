"""The SQL functions, views and triggers, and the rows of `allowed_steps`, as events of the metadata.

So `create_all` makes them as well.
"""

from __future__ import annotations

import re

from sqlalchemy import DDL, event

from booking_tasks import sql
from booking_tasks.models.base import Base

_CREATES = re.compile(r"^CREATE (FUNCTION|VIEW) (\w+)", re.MULTILINE)


def _run(when: str, statement: str) -> None:
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(Base.metadata, when, ddl)


def _created_object(definition: str) -> tuple[str, str]:
    """Whether a definition creates a function or a view, and its name in the database."""
    found = _CREATES.search(definition)
    assert found is not None, definition  # noqa: S101 - a broken file of this package
    return found[1], found[2]


_DEFINITIONS = [sql.definition(name) for name in (*sql.FUNCTIONS, *sql.VIEWS)]
_run("before_create", "CREATE EXTENSION IF NOT EXISTS btree_gist")
for _definition in _DEFINITIONS:
    _run("after_create", _definition)
for _statement in sql.table_statements():
    _run("after_create", _statement)
for _definition in reversed(_DEFINITIONS):
    _type, _name = _created_object(_definition)
    _run("before_drop", f"DROP {_type} IF EXISTS {_name}")

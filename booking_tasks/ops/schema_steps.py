"""What a step of the migrations uses to create, replace and drop what has a text of its own.

The texts are frozen under `migrations/sql`: `<name>/v<version>.sql` for each version of a function or a view,
`tables/<package>.sql` for the tables of the baseline, and `steps/<revision>/<name>.sql` for later steps.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from booking_tasks.ops import migrate

_CREATES = re.compile(r"^CREATE (FUNCTION|VIEW) (\w+)", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)


class Operations(Protocol):
    """The part of `alembic.op` that these helpers use."""

    def execute(self, sqltext: str, /) -> None:
        """Run one statement, or print it when the migration runs offline."""


def create(op: Operations, name: str, version: int) -> None:
    """Create one version of a function, or a view that does not exist yet."""
    op.execute(_definition(name, version))


def drop(op: Operations, name: str, version: int) -> None:
    """Drop one version of a function, or a view; `create` with the same arguments is the way back."""
    object_type, created = _created_object(name, version)
    op.execute(f"DROP {object_type} {created}")


def replace(op: Operations, name: str, version: int) -> None:
    """Go from one version of a function or a view to the next.

    The new version of a function is created beside the one before, which the release before still calls; a
    later step drops that. A view has one name only, so its text is replaced in place.
    """
    if _created_object(name, version)[0] == "VIEW":
        op.execute(_definition(name, version).replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
    else:
        create(op, name, version)


def undo_replace(op: Operations, name: str, version: int) -> None:
    """Go from one version of a function or a view back to the one before: the way back from `replace`."""
    if _created_object(name, version)[0] == "VIEW":
        drop(op, name, version)
        create(op, name, version - 1)
    else:
        drop(op, name, version)


def create_tables(op: Operations, package: str) -> None:
    """Create the tables of one package of the baseline, with their constraints and indexes."""
    for statement in _tables(package).split(";\n"):
        if statement.strip():
            op.execute(statement)


def drop_tables(op: Operations, package: str) -> None:
    """Drop the tables of one package of the baseline, the last one first."""
    for table in reversed(_TABLE.findall(_tables(package))):
        op.execute(f"DROP TABLE {table}")


def run(op: Operations, revision: str, name: str) -> None:
    """Run the statements of `steps/<revision>/<name>.sql`, which are separated by blank lines."""
    text = (_folder() / "steps" / revision / f"{name}.sql").read_text(encoding="utf-8")
    for statement in text.rstrip().removesuffix(";").split(";\n\n"):
        op.execute(statement)


def frozen_text(name: str, version: int) -> str:
    """The text of one version of a function or a view, as a step of the migrations created it."""
    return (_folder() / name / f"v{version}.sql").read_text(encoding="utf-8")


def _folder() -> Path:
    return migrate.migrations_folder() / "sql"


def _tables(package: str) -> str:
    return (_folder() / "tables" / f"{package}.sql").read_text(encoding="utf-8")


def _definition(name: str, version: int) -> str:
    _created_object(name, version)
    return frozen_text(name, version).rstrip().removesuffix(";")


def _created_object(name: str, version: int) -> tuple[str, str]:
    """Whether a text creates a function or a view, and its name in the database. Raises ValueError."""
    text = frozen_text(name, version)
    found = _CREATES.search(text)
    if found is None or found[2] != (f"{name}_v{version}" if found[1] == "FUNCTION" else name):
        raise ValueError(f"migrations/sql/{name}/v{version}.sql does not create version {version} of {name}")
    return found[1], found[2]

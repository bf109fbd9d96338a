"""Searching every column of every table for texts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_COLUMNS = text(
    "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
    " JOIN information_schema.tables t USING (table_schema, table_name)"
    " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY 1, 2"
)


def places_with(db: Session, texts: Sequence[str]) -> list[str]:
    """Return `table.column: text` for each column that contains one of the texts, in any case."""
    found = []
    for table, column, data_type in db.execute(_COLUMNS).all():
        as_text = f"encode({column}, 'escape')" if data_type == "bytea" else f'"{column}"::text'
        for one in texts:
            query = text(f"SELECT count(*) FROM {table} WHERE strpos(lower({as_text}), :text) > 0")
            if db.execute(query, {"text": one.lower()}).scalar_one():
                found.append(f"{table}.{column}: {one}")
    return found


def spellings(user_id: UUID) -> list[str]:
    """Return the ways in which an id is written."""
    return [str(user_id), user_id.hex]

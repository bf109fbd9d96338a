"""Writing a row by its key, or changing the one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import Base


def upsert(db: Session, model: type[Base], values: Mapping[str, Any], now: datetime) -> bool:
    """Insert or update a row so that it has `values`; False when it already had them.

    `values` are the primary key and the columns to set. A new row gets `created_at`, a changed one
    `updated_at`; an unchanged row is not written.
    """
    columns = model.__table__.c
    key = [column.name for column in columns if column.primary_key]
    written = insert(model).values(**values, created_at=now)
    excluded = {name: written.excluded[name] for name in values if name not in key}
    made = db.execute(
        written.on_conflict_do_update(
            index_elements=key,
            set_=excluded | {"updated_at": now},
            where=or_(*(columns[name].is_distinct_from(value) for name, value in excluded.items())),
        ).returning(*(columns[name] for name in key))
    )
    return made.first() is not None

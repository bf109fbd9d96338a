"""What every table shares: constraint names, column types, time-ordered keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

from booking_tasks.kit.ids import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every instant is timestamptz; every JSON is jsonb; every id a UUID."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: TIMESTAMP(timezone=True),
        UUID: PG_UUID(as_uuid=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }


#: Version 7 from the application; gen_random_uuid() for rows that others insert.
Key = Annotated[
    UUID, mapped_column(primary_key=True, default=uuid7, server_default=text("gen_random_uuid()"))
]
CreatedAt = Annotated[datetime, mapped_column(server_default=text("now()"))]
LongText = Annotated[str, mapped_column(Text)]


def one_of(column: str, members: Iterable[str], name: str = "") -> CheckConstraint:
    """Return a CHECK that limits a text column to these values."""
    listed = ", ".join(f"'{value}'" for value in members)
    return CheckConstraint(f"{column} IN ({listed})", name=name or column)

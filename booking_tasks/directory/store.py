"""The directory's copy of people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.models import DirectoryUser
from booking_tasks.upsert import upsert


def user_changed(db: Session, values: Mapping[str, Any], now: datetime) -> bool:
    """Store a person; whether that changed anything."""
    return upsert(db, DirectoryUser, values, now)


def people(db: Session, ids: Iterable[UUID]) -> dict[UUID, DirectoryUser]:
    """Those of the people whom the directory knows, by user id."""
    found = db.scalars(select(DirectoryUser).where(DirectoryUser.user_id.in_(set(ids))))
    return {person.user_id: person for person in found}

"""Reads what a reply is compared with."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.models import DirectoryUser


def address_of(db: Session, user_id: UUID) -> str | None:
    """Return the address of a person in the directory."""
    return db.execute(
        select(DirectoryUser.email).where(DirectoryUser.user_id == user_id)
    ).scalar_one_or_none()

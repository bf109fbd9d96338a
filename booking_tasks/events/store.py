"""Reading the history for those outside."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.models import Event


def event_by_id(db: Session, event_id: UUID) -> Event | None:
    """One thing that happened."""
    return db.get(Event, event_id)

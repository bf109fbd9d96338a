"""Reading the history for other services."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.models import Event


def event_by_id(db: Session, event_id: UUID) -> Event | None:
    """One event, or None when it is purged."""
    return db.get(Event, event_id)

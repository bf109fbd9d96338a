"""Reads what a reply is compared with."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.models import DirectoryUser, Event
from booking_tasks.outbox.event_types import EventType

RECORDED = EventType.SESSION_REPLY_RECORDED


def address_of(db: Session, user_id: UUID) -> str | None:
    """Return the address of a person in the directory."""
    return db.execute(
        select(DirectoryUser.email).where(DirectoryUser.user_id == user_id)
    ).scalar_one_or_none()


def last_recorded(db: Session, session_id: UUID, party: str) -> dict[str, object]:
    """Return the last recorded reply of one side to a session; empty when there is none."""
    found = db.execute(
        select(Event.after)
        .where(
            Event.scheduled_session_id == session_id,
            Event.type == RECORDED,
            Event.after["party"].astext == party,
        )
        .order_by(Event.position.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found or {}

"""The rows of a series."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.models import ConsultationRequest


def series_exists(db: Session, series_id: UUID, requester_user_id: UUID) -> bool:
    """Whether the requester has booked a series of this id. Locks the id until the transaction ends."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"series:{series_id}", 0))))
    found = select(ConsultationRequest.id).where(
        ConsultationRequest.requester_user_id == requester_user_id,
        ConsultationRequest.series_id == series_id,
    )
    return db.execute(found.limit(1)).first() is not None

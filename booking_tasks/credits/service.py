"""Giving a consultant credit for what they got, and taking it back.

The request must be locked, or new in this transaction. Nothing here waits for the pool.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.credits import store
from booking_tasks.models import ConsultationRequest
from booking_tasks.occasion import Occasion


def give(db: Session, occasion: Occasion, request: ConsultationRequest, consultant: UUID) -> bool:
    """Write that the consultant got the request; False when that is written already and stands."""
    return store.add_assignment(db, request, consultant, occasion.now)


def take_back(db: Session, occasion: Occasion, request_id: UUID, reason: str) -> int:
    """Reverse what the request gave to anyone; how many entries. A second time finds nothing."""
    return store.add_reversals(db, request_id, reason, occasion.now)
